// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

// kv: pairs, ranges and the past.
func kv(p *probe) {
	first := p.put("kv/1", "a")
	p.put("kv/2", "c")
	p.put("kv/3", "b")
	prefix := clientv3.WithPrefix()
	expect(p.get("kv/", prefix), []string{"a", "c", "b"})
	expect(p.get("kv/", prefix, clientv3.WithSort(clientv3.SortByValue, clientv3.SortDescend)), []string{"c", "b", "a"})
	expect(p.get("kv/", prefix, clientv3.WithLimit(2)), []string{"a", "c"})
	expect(p.get("kv/", prefix, clientv3.WithRev(first)), []string{"a"})
	expect(p.get("kv/", prefix, clientv3.WithMinModRev(first+1)), []string{"c", "b"})
	expect(p.get("kv/", clientv3.WithLastKey()...), []string{"b"})
	expect(p.get("kv/2", clientv3.WithRange("kv/3")), []string{"c"})
	expect(p.get("kv/", prefix, clientv3.WithSerializable()), []string{"a", "c", "b"})
	count, err := p.Get(p.ctx, "kv/", prefix, clientv3.WithCountOnly())
	must(err)
	expect([]int64{count.Count, int64(len(count.Kvs))}, []int64{3, 0})

	replaced, err := p.Put(p.ctx, "kv/1", "A", clientv3.WithPrevKV())
	must(err)
	expect(string(replaced.PrevKv.Value), "a")
	gone, err := p.Delete(p.ctx, "kv/", prefix, clientv3.WithPrevKV())
	must(err)
	expect(gone.Deleted, int64(3))
	expect(string(gone.PrevKvs[0].Value), "A")

	_, err = p.Put(p.ctx, "", "")
	expectError(err, rpctypes.ErrEmptyKey)
	_, err = p.Put(p.ctx, "kv/9", "", clientv3.WithIgnoreValue())
	expectError(err, rpctypes.ErrKeyNotFound)
	_, err = p.Get(p.ctx, "kv/1", clientv3.WithRev(first+1000000))
	expectError(err, rpctypes.ErrFutureRev)
	_, err = p.Put(p.ctx, "kv/9", string(make([]byte, 1600000)))
	expectError(err, rpctypes.ErrRequestTooLarge)
}

// txn: compares of each kind, both branches, a transaction within one, and what is refused.
func txn(p *probe) {
	created := clientv3.Compare(clientv3.CreateRevision("txn/k"), "=", 0)
	for i, expected := range []bool{true, false} {
		answer, err := p.Txn(p.ctx).If(created).
			Then(clientv3.OpPut("txn/k", "mine")).
			Else(clientv3.OpGet("txn/k")).Commit()
		must(err)
		expect(answer.Succeeded, expected)
		if i == 1 {
			expect(string(answer.Responses[0].GetResponseRange().Kvs[0].Value), "mine")
		}
	}
	holds, err := p.Txn(p.ctx).If(
		clientv3.Compare(clientv3.Value("txn/k"), "=", "mine"),
		clientv3.Compare(clientv3.Value("txn/k"), "<", "yours"),
		clientv3.Compare(clientv3.Version("txn/k"), "!=", 2),
		clientv3.Compare(clientv3.ModRevision("txn/k"), ">", 1),
		clientv3.Compare(clientv3.LeaseValue("txn/k"), "=", 0),
		clientv3.Compare(clientv3.CreateRevision("txn/"), ">", 0).WithPrefix(),
	).Then(
		clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("txn/inner", "1"), clientv3.OpDelete("txn/k")}, nil),
		clientv3.OpGet("txn/", clientv3.WithPrefix()),
	).Commit()
	must(err)
	expect(holds.Succeeded, true)
	expect(holds.Responses[0].GetResponseTxn().Responses[1].GetResponseDeleteRange().Deleted, int64(1))
	seen := holds.Responses[1].GetResponseRange().Kvs
	expect(len(seen), 1)
	expect(seen[0].ModRevision, holds.Header.Revision)

	_, err = p.Txn(p.ctx).Then(clientv3.OpPut("txn/d", "1"), clientv3.OpPut("txn/d", "2")).Commit()
	expectError(err, rpctypes.ErrDuplicateKey)
	many := []clientv3.Op{}
	for i := 0; i < 129; i++ {
		many = append(many, clientv3.OpPut(fmt.Sprintf("txn/many%d", i), ""))
	}
	_, err = p.Txn(p.ctx).Then(many...).Commit()
	expectError(err, rpctypes.ErrTooManyOps)
}

// maintenance: what tools ask before they trust a server.
func maintenance(p *probe) {
	members, err := p.MemberList(p.ctx)
	must(err)
	expect(len(members.Members), 1)
	expect(members.Members[0].ClientURLs, []string{"http://" + p.address})
	status, err := p.Status(p.ctx, p.address)
	must(err)
	expect(status.Leader, members.Members[0].ID)
	alarms, err := p.AlarmList(p.ctx)
	must(err)
	expect(len(alarms.Alarms), 0)
	_, err = p.Defragment(p.ctx, p.address)
	must(err)
	revision := p.put("maintenance/k", "")
	one, err := p.HashKV(p.ctx, p.address, revision)
	must(err)
	other, err := p.HashKV(p.ctx, p.address, revision)
	must(err)
	expect(one.Hash, other.Hash)
	must(p.Sync(p.ctx))
	expect(p.Endpoints(), []string{"http://" + p.address})
	p.put("maintenance/k", "by the address that it told")
}

// snapshot: the store as it is at one moment, while others write, and behind it the hash that tools check.
func snapshot(p *probe) {
	p.put("snapshot/k", "is in it")
	done := make(chan bool)
	writing := make(chan bool)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				close(writing)
				return
			default:
				p.put("snapshot/other", fmt.Sprint(i))
			}
		}
	}()
	stream, err := p.Snapshot(p.ctx)
	must(err)
	saved, err := io.ReadAll(stream)
	must(err)
	must(stream.Close())
	close(done)
	<-writing
	content := saved[:len(saved)-sha256.Size]
	hash := sha256.Sum256(content)
	expect(saved[len(content):], hash[:])
	expect(bytes.Contains(content, []byte("is in it")), true)
}
