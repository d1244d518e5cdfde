// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
)

func (p *probe) session() *concurrency.Session {
	session, err := concurrency.NewSession(p.Client, concurrency.WithTTL(short))
	must(err)
	return session
}

// session: it is over when its lease is, and takes its keys along.
func session(p *probe) {
	mine := p.session()
	p.put("session/k", "", clientv3.WithLease(mine.Lease()))
	must(mine.Close())
	expect(p.get("session/k"), []string{})
	<-mine.Done()

	lost := p.session()
	_, err := p.Revoke(p.ctx, lost.Lease())
	must(err)
	<-lost.Done()
}

// mutex: processes that count under a mutex, without any compare, lose no count.
func mutex(p *probe) {
	const processes, counts = 4, 20
	p.put("mutex/counter", "0")
	children := []*child{}
	for i := 0; i < processes; i++ {
		children = append(children, p.start("child-count", fmt.Sprint(counts)))
	}
	for _, child := range children {
		child.expectEnd()
	}
	expect(p.get("mutex/counter"), []string{fmt.Sprint(processes * counts)})
}

func childCount(p *probe) {
	session := p.session()
	lock := concurrency.NewMutex(session, "mutex/lock")
	counts, err := strconv.Atoi(p.arguments[0])
	must(err)
	for i := 0; i < counts; i++ {
		must(lock.Lock(p.ctx))
		value, err := strconv.Atoi(p.get("mutex/counter")[0])
		must(err)
		owned, err := p.Txn(p.ctx).If(lock.IsOwner()).
			Then(clientv3.OpPut("mutex/counter", fmt.Sprint(value+1))).Commit()
		must(err)
		expect(owned.Succeeded, true)
		must(lock.Unlock(p.ctx))
	}
	must(session.Close())
}

// mutexHolderDies: the mutex of a process that is killed comes free by itself; who gives up waiting leaves no trace.
func mutexHolderDies(p *probe) {
	holder := p.start("child-hold", "held")
	holder.expectLine("holding")
	impatient, giveUp := context.WithCancel(p.ctx)
	client := connect(p.address)
	defer client.Close()
	client.Watcher = watcherThat{client.Watcher, giveUp} // by then it stands in the line
	session, err := concurrency.NewSession(client, concurrency.WithTTL(short))
	must(err)
	lock := concurrency.NewMutex(session, "held")
	expect(lock.Lock(impatient), context.Canceled)
	expect(len(p.get("held/", clientv3.WithPrefix())), 1)
	holder.kill()
	must(lock.Lock(p.ctx))
	expect(len(p.get("held/", clientv3.WithPrefix())), 1)
	must(session.Close())
}

// A watcher that calls a function when a watch has begun.
type watcherThat struct {
	clientv3.Watcher
	calls func()
}

func (w watcherThat) Watch(ctx context.Context, key string, options ...clientv3.OpOption) clientv3.WatchChan {
	answers := w.Watcher.Watch(ctx, key, options...)
	w.calls()
	return answers
}

func childHold(p *probe) {
	must(concurrency.NewMutex(p.session(), p.arguments[0]).Lock(p.ctx))
	say("holding")
	p.wait()
}

// election: one leads, all see who, and the next one leads when it resigns.
func election(p *probe) {
	first, second := p.session(), p.session()
	one, two := concurrency.NewElection(first, "election"), concurrency.NewElection(second, "election")
	_, err := one.Leader(p.ctx)
	expectError(err, concurrency.ErrElectionNoLeader)
	must(one.Campaign(p.ctx, "one"))
	observed := two.Observe(p.ctx)
	leads := func(expected string) {
		answer, ok := <-observed
		expect(ok, true)
		expect(string(answer.Kvs[0].Value), expected)
	}
	leads("one")
	must(one.Proclaim(p.ctx, "one again"))
	leads("one again")
	elected := make(chan error)
	go func() { elected <- two.Campaign(p.ctx, "two") }()
	must(one.Resign(p.ctx))
	must(<-elected)
	leads("two")
	expectError(one.Proclaim(p.ctx, "one still"), concurrency.ErrElectionNotLeader)
	leader, err := one.Leader(p.ctx)
	must(err)
	expect(string(leader.Kvs[0].Value), "two")
	resumed := concurrency.ResumeElection(second, "election", two.Key(), two.Rev())
	must(resumed.Proclaim(p.ctx, "two resumed"))
	leads("two resumed")
	must(first.Close())
	must(second.Close())
}

// electionLeaderDies: after a leader that is killed the next one leads.
func electionLeaderDies(p *probe) {
	leader := p.start("child-campaign", "throne", "the first")
	leader.expectLine("leading")
	session := p.session()
	heir := concurrency.NewElection(session, "throne")
	observed := heir.Observe(p.ctx)
	answer := <-observed
	expect(string(answer.Kvs[0].Value), "the first")
	leader.kill()
	must(heir.Campaign(p.ctx, "the second"))
	answer = <-observed
	expect(string(answer.Kvs[0].Value), "the second")
	must(session.Close())
}

func childCampaign(p *probe) {
	must(concurrency.NewElection(p.session(), p.arguments[0]).Campaign(p.ctx, p.arguments[1]))
	say("leading")
	p.wait()
}

// stm: transactions that read, compute and write lose no update, and see no state in between.
func stm(p *probe) {
	const routines, rounds, total = 16, 25, 1000
	p.put("stm/left", fmt.Sprint(total))
	p.put("stm/right", "0")
	number := func(s concurrency.STM, key string) int {
		value, err := strconv.Atoi(s.Get(key))
		must(err)
		return value
	}
	move := func(s concurrency.STM) error {
		left, right := number(s, "stm/left"), number(s, "stm/right")
		expect(left+right, total)
		s.Put("stm/left", fmt.Sprint(left-1))
		s.Put("stm/right", fmt.Sprint(right+1))
		return nil
	}
	var all sync.WaitGroup
	for i := 0; i < routines; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := 0; i < rounds; i++ {
				_, err := concurrency.NewSTM(p.Client, move, concurrency.WithAbortContext(p.ctx),
					concurrency.WithPrefetch("stm/left", "stm/right"))
				must(err)
			}
		}()
	}
	all.Wait()
	expect(p.get("stm/left"), []string{fmt.Sprint(total - routines*rounds)})
	expect(p.get("stm/right"), []string{fmt.Sprint(routines * rounds)})
}
