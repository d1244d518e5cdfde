// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"os"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

// auth: a user registers, watches and locks with a name and a password. The server is killed and comes back, which who
// started us does when we say so, and has forgotten the user's token: the client gets another one by itself.
func auth(p *probe) {
	switchOn(p)
	defer switchOff(p)
	alice := &probe{p.logIn("alice", "secret"), p.ctx, p.address, nil}

	lease := alice.grant(20)
	alice.put("auth/instance", "1", clientv3.WithLease(lease))
	answers, err := alice.KeepAlive(alice.ctx, lease)
	must(err)
	<-answers
	changes := alice.Watch(alice.ctx, "auth/k", clientv3.WithPrefix())
	alice.put("auth/k", "before")
	expectChange(changes, "before")
	expectKeptFrom(p, alice)
	underLock(alice)

	say("restart")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	must(err)
	alice.put("auth/k", "after")
	expectChange(changes, "after")
	expectKeptFrom(p, alice)
	underLock(alice)
	for len(answers) > 0 {
		<-answers
	}
	answer, ok := <-answers
	expect(ok, true)
	expect(answer.TTL, int64(20))
}

func (p *probe) logIn(name, password string) *clientv3.Client {
	return connectWith(clientv3.Config{Endpoints: []string{p.address}, Username: name, Password: password})
}

func switchOn(p *probe) {
	end, both := clientv3.GetPrefixRangeEnd("auth/"), clientv3.PermissionType(clientv3.PermReadWrite)
	steps := []func() error{
		func() error { _, err := p.UserAdd(p.ctx, "root", "r00t"); return err },
		func() error { _, err := p.RoleAdd(p.ctx, "root"); return err },
		func() error { _, err := p.UserGrantRole(p.ctx, "root", "root"); return err },
		func() error { _, err := p.UserAdd(p.ctx, "alice", "secret"); return err },
		func() error { _, err := p.RoleAdd(p.ctx, "dev"); return err },
		func() error { _, err := p.RoleGrantPermission(p.ctx, "dev", "auth/", end, both); return err },
		func() error { _, err := p.UserGrantRole(p.ctx, "alice", "dev"); return err },
		func() error { _, err := p.AuthEnable(p.ctx); return err },
	}
	for _, step := range steps {
		must(step())
	}
}

func switchOff(p *probe) {
	_, err := p.logIn("root", "r00t").AuthDisable(p.ctx)
	must(err)
	for _, user := range []string{"root", "alice"} {
		_, err := p.UserDelete(p.ctx, user)
		must(err)
	}
	for _, role := range []string{"root", "dev"} {
		_, err := p.RoleDelete(p.ctx, role)
		must(err)
	}
}

func expectChange(changes clientv3.WatchChan, value string) {
	answer := <-changes
	must(answer.Err())
	expect(string(answer.Events[0].Kv.Value), value)
}

func expectKeptFrom(nobody, alice *probe) {
	_, err := nobody.Get(nobody.ctx, "auth/k")
	expectError(err, rpctypes.ErrUserEmpty)
	_, err = alice.Get(alice.ctx, "other")
	expectError(err, rpctypes.ErrPermissionDenied)
	_, err = alice.UserList(alice.ctx)
	expectError(err, rpctypes.ErrPermissionDenied)
	denied := <-alice.Watch(context.Background(), "other")
	expect(denied.Canceled, true)
}

func underLock(alice *probe) {
	session, err := concurrency.NewSession(alice.Client, concurrency.WithTTL(10))
	must(err)
	mutex := concurrency.NewMutex(session, "auth/mutex")
	must(mutex.Lock(alice.ctx))
	must(mutex.Unlock(alice.ctx))
	must(session.Close())
}
