// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
	"go.etcd.io/etcd/mvcc/mvccpb"
)

// The TTL of what runs out: a client that stands still for a moment loses nothing.
const short = 5

// registration: a key whose lease is kept alive outlives its TTL, which a lease that nobody renews tells the end of.
func registration(p *probe) {
	events := p.listen("registration/", clientv3.WithPrefix())
	lease := p.grant(short)
	p.put("registration/instance", "10.0.0.1:80", clientv3.WithLease(lease))
	answers, err := p.KeepAlive(p.ctx, lease)
	must(err)
	p.put("registration/clock", "", clientv3.WithLease(p.grant(short+1)))
	events.expect("PUT registration/instance 10.0.0.1:80", "PUT registration/clock ")

	renewals, ended := 0, make(chan bool)
	go func() {
		events.expect("DELETE registration/clock ")
		close(ended)
	}()
	for running := true; running; {
		select {
		case answer, ok := <-answers:
			expect(ok, true)
			expect(answer.TTL, int64(short))
			renewals++
		case <-ended:
			running = false
		}
	}
	if renewals < 2 {
		fail("%d renewals in %d s", renewals, short+1)
	}
	expect(p.get("registration/instance"), []string{"10.0.0.1:80"})
	_, err = p.Revoke(p.ctx, lease)
	must(err)
	events.expect("DELETE registration/instance ")
}

// loss: who keeps a lease alive is told when the lease is no more.
func loss(p *probe) {
	lease := p.grant(short)
	p.put("loss/instance", "", clientv3.WithLease(lease))
	answers, err := p.KeepAlive(p.ctx, lease)
	must(err)
	if _, ok := <-answers; !ok {
		fail("the lease was never alive")
	}
	_, err = p.Revoke(p.ctx, lease)
	must(err)
	for range answers {
		// what was under way; the channel is closed when the server has answered that there is no such lease
	}
	must(p.ctx.Err())
	_, err = p.KeepAliveOnce(p.ctx, lease)
	expectError(err, rpctypes.ErrLeaseNotFound)
}

// crash: the key of a process that is killed goes away by itself, and who watches is told.
func crash(p *probe) {
	events := p.listen("crash/", clientv3.WithPrefix(), clientv3.WithPrevKV())
	p.put("crash/neighbour", "", clientv3.WithLease(p.grant(60)))
	registrant := p.start("child-register", "crash/instance", "10.0.0.2:80")
	registrant.expectLine("registered")
	events.expect("PUT crash/neighbour ", "PUT crash/instance 10.0.0.2:80")
	registrant.kill()
	killed := time.Now()
	events.expect("DELETE crash/instance  was 10.0.0.2:80")
	if gone := time.Since(killed); gone > 3*short*time.Second {
		fail("the key of a dead process stayed for %v", gone)
	}
	expect(p.get("crash/", clientv3.WithPrefix()), []string{""})
}

func childRegister(p *probe) {
	lease := p.grant(short)
	answers, err := p.KeepAlive(p.ctx, lease)
	must(err)
	<-answers
	p.put(p.arguments[0], p.arguments[1], clientv3.WithLease(lease))
	say("registered")
	for range answers {
		// until the end of one of the two
	}
}

// leases: what can be asked about them.
func leases(p *probe) {
	lease := p.grant(100)
	p.put("leases/b", "", clientv3.WithLease(lease))
	p.put("leases/a", "", clientv3.WithLease(lease))
	told, err := p.TimeToLive(p.ctx, lease, clientv3.WithAttachedKeys())
	must(err)
	expect(told.GrantedTTL, int64(100))
	expect(told.TTL > 90 && told.TTL <= 100, true)
	expect(len(told.Keys), 2)
	all, err := p.Leases(p.ctx)
	must(err)
	found := false
	for _, status := range all.Leases {
		found = found || status.ID == lease
	}
	expect(found, true)
	once, err := p.KeepAliveOnce(p.ctx, lease)
	must(err)
	expect(once.TTL, int64(100))
	_, err = p.Revoke(p.ctx, lease)
	must(err)
	expect(p.get("leases/", clientv3.WithPrefix()), []string{})
	told, err = p.TimeToLive(p.ctx, lease)
	must(err)
	expect(told.TTL, int64(-1))
	_, err = p.Revoke(p.ctx, lease)
	expectError(err, rpctypes.ErrLeaseNotFound)
	_, err = p.Put(p.ctx, "leases/c", "", clientv3.WithLease(lease))
	expectError(err, rpctypes.ErrLeaseNotFound)
}

// ---------------------------------------------------------------------------------------------------- listening

// A watch whose events are read one by one.
type listener struct {
	p       *probe
	answers clientv3.WatchChan
	events  []*clientv3.Event
}

// listen begins a watch, and gives it when the server has begun it too.
func (p *probe) listen(key string, options ...clientv3.OpOption) *listener {
	answers := p.Watch(p.ctx, key, append(options, clientv3.WithCreatedNotify())...)
	created := <-answers
	must(created.Err())
	expect(created.Created, true)
	return &listener{p, answers, nil}
}

func (l *listener) next() *clientv3.Event {
	for len(l.events) == 0 {
		answer, ok := <-l.answers
		if !ok {
			fail("the watch ended: %v", l.p.ctx.Err())
		}
		must(answer.Err())
		l.events = answer.Events
	}
	event := l.events[0]
	l.events = l.events[1:]
	return event
}

// expect compares the next events with their texts: "PUT key value", "DELETE key ", with " was value" behind.
func (l *listener) expect(texts ...string) {
	for _, expected := range texts {
		event := l.next()
		text := []string{event.Type.String(), string(event.Kv.Key), string(event.Kv.Value)}
		if event.PrevKv != nil {
			text = append(text, "was", string(event.PrevKv.Value))
		}
		expect(strings.Join(text, " "), expected)
		expect(event.Type == mvccpb.DELETE, event.Kv.CreateRevision == 0)
	}
}
