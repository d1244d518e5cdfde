// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"go.etcd.io/etcd/clientv3"
)

const pace = 200 // puts before and after the restart

// restart: the server is killed and comes back, which who started us does when we say so. A registrant goes on renewing
// and a watcher goes on watching, without noticing: every version of the key is heard, once and in order.
func restart(p *probe) {
	lease := p.grant(20)
	p.put("restart/instance", "", clientv3.WithLease(lease))
	answers, err := p.KeepAlive(p.ctx, lease)
	must(err)
	<-answers
	events := p.listen("restart/k")
	for i := 0; i < pace; i++ {
		p.put("restart/k", "")
	}
	input := bufio.NewReader(os.Stdin)
	say("restart")
	restarted := make(chan bool)
	go func() {
		_, err := input.ReadString('\n')
		must(err)
		close(restarted)
	}()
	after := 0
	for after < pace {
		select {
		case <-restarted:
			after++
		default:
		}
		p.putPatiently("restart/k")
	}
	current, err := p.Get(p.ctx, "restart/k")
	must(err)
	for version := int64(1); version <= current.Kvs[0].Version; version++ {
		event := events.next()
		expect(event.Kv.Version, version)
		expect(event.Kv.ModRevision <= current.Header.Revision, true)
	}
	// What was waiting in the channel is from before; the next one is from after.
	for len(answers) > 0 {
		<-answers
	}
	answer, ok := <-answers
	expect(ok, true)
	expect(answer.TTL, int64(20))
	expect(p.get("restart/instance"), []string{""})
	say(fmt.Sprintf("%d versions", current.Kvs[0].Version))
}

// putPatiently puts once or more often: a put whose answer is lost may have happened.
func (p *probe) putPatiently(key string) {
	for p.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(p.ctx, time.Second)
		_, err := p.Put(ctx, key, "")
		cancel()
		if err == nil {
			return
		}
	}
	must(p.ctx.Err())
}
