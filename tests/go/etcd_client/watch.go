// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

// watch: a prefix, with what was there before, filtered, and ended by its owner.
func watch(p *probe) {
	p.put("watch/a", "0")
	all := p.listen("watch/", clientv3.WithPrefix(), clientv3.WithPrevKV())
	puts := p.listen("watch/", clientv3.WithPrefix(), clientv3.WithFilterDelete())
	deletes := p.listen("watch/", clientv3.WithPrefix(), clientv3.WithFilterPut())
	from := p.listen("watch/b", clientv3.WithFromKey())
	p.put("watch/a", "1")
	p.put("watch/b", "2")
	_, err := p.Delete(p.ctx, "watch/", clientv3.WithPrefix())
	must(err)
	p.put("watch/c", "3")
	all.expect("PUT watch/a 1 was 0", "PUT watch/b 2", "DELETE watch/a  was 1", "DELETE watch/b  was 2", "PUT watch/c 3")
	puts.expect("PUT watch/a 1", "PUT watch/b 2", "PUT watch/c 3")
	deletes.expect("DELETE watch/a ", "DELETE watch/b ")
	from.expect("PUT watch/b 2", "DELETE watch/b ", "PUT watch/c 3")

	ctx, cancel := context.WithCancel(p.ctx)
	ended := p.Watch(ctx, "watch/a", clientv3.WithCreatedNotify())
	<-ended
	cancel()
	for range ended {
		// closed at once: the others go on
	}
	p.put("watch/d", "4")
	all.expect("PUT watch/d 4")
}

// watchHistory: list, then watch from there: nothing between the two is missed, nothing is told twice.
func watchHistory(p *probe) {
	first := p.put("history/k", "0")
	for i := 1; i < 1000; i++ {
		p.put("history/k", fmt.Sprint(i))
	}
	events := p.listen("history/k", clientv3.WithRev(first))
	p.put("history/k", "1000")
	last := int64(0)
	for i := 0; i <= 1000; i++ {
		event := events.next()
		expect(string(event.Kv.Value), fmt.Sprint(i))
		expect(event.Kv.Version, int64(i+1))
		expect(event.Kv.ModRevision > last, true)
		last = event.Kv.ModRevision
	}
	after := p.listen("history/k", clientv3.WithRev(last+1))
	p.put("history/k", "1001")
	after.expect("PUT history/k 1001")
}

// watchLarge: more history than a message may hold comes in pieces, which the client puts together.
func watchLarge(p *probe) {
	small := connectWith(clientv3.Config{Endpoints: []string{p.address}, MaxCallRecvMsgSize: 2 << 20})
	defer small.Close()
	first := int64(0)
	for i := 0; i < 12; i++ {
		revision := p.put("large/k", strings.Repeat(string(rune('a'+i)), 500000))
		if i == 0 {
			first = revision
		}
	}
	q := &probe{small, p.ctx, p.address, nil}
	events := q.listen("large/k", clientv3.WithRev(first), clientv3.WithFragment(), clientv3.WithPrevKV())
	for i := 0; i < 12; i++ {
		event := events.next()
		expect(len(event.Kv.Value), 500000)
		expect(event.Kv.Value[499999], byte('a'+i))
		if event.IsCreate() {
			continue
		}
		expect(event.PrevKv.Value[0], byte('a'+i-1))
	}
}

// watchProgress: who asks how far the server is gets the revision, and has then heard all up to it.
func watchProgress(p *probe) {
	ctx := clientv3.WithRequireLeader(p.ctx)
	answers := p.Watch(ctx, "progress/k", clientv3.WithCreatedNotify())
	<-answers
	p.put("progress/k", "")
	<-answers
	revision := p.put("progress/other", "")
	must(p.RequestProgress(ctx))
	answer := <-answers
	expect(answer.IsProgressNotify(), true)
	expect(answer.Header.Revision >= revision, true)
}

// compaction: what is gone is said to be gone, to readers and to watchers.
func compaction(p *probe) {
	first := p.put("compaction/k", "1")
	second := p.put("compaction/k", "2")
	third := p.put("compaction/k", "3")
	expect(p.get("compaction/k", clientv3.WithRev(first)), []string{"1"})
	_, err := p.Compact(p.ctx, second, clientv3.WithCompactPhysical())
	must(err)
	_, err = p.Get(p.ctx, "compaction/k", clientv3.WithRev(first))
	expectError(err, rpctypes.ErrCompacted)
	expect(p.get("compaction/k", clientv3.WithRev(second)), []string{"2"})
	expect(p.get("compaction/k"), []string{"3"})
	_, err = p.Compact(p.ctx, second)
	expectError(err, rpctypes.ErrCompacted)
	_, err = p.Compact(p.ctx, third+1000000)
	expectError(err, rpctypes.ErrFutureRev)

	answers := p.Watch(p.ctx, "compaction/k", clientv3.WithRev(first))
	answer := <-answers
	expect(answer.Err(), rpctypes.ErrCompacted)
	expect(answer.CompactRevision, second)
	if _, ok := <-answers; ok {
		fail("a watch from what is gone goes on")
	}
	events := p.listen("compaction/k", clientv3.WithRev(answer.CompactRevision))
	events.expect("PUT compaction/k 2", "PUT compaction/k 3")
}
