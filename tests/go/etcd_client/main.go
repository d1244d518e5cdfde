// SPDX-License-Identifier: Apache-2.0

// A program that uses etcd's Go client as its users do, one case of theirs per run:
//
//	etcd_client HOST:PORT CASE [ARGUMENT...]
//
// It ends with 0 when the server did all that the case relies on, and otherwise says what it did instead. Cases may run
// side by side: each keeps to keys of its own. A case that needs a second process, above all one that can be killed,
// starts this program again with the name of a child.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.uber.org/zap"
)

// Nothing that works takes so long.
const limit = 120 * time.Second

var cases = map[string]func(*probe){
	"registration":      registration,
	"loss":              loss,
	"crash":             crash,
	"leases":            leases,
	"kv":                kv,
	"txn":               txn,
	"compaction":        compaction,
	"watch":             watch,
	"watch-history":     watchHistory,
	"watch-large":       watchLarge,
	"watch-progress":    watchProgress,
	"session":           session,
	"mutex":             mutex,
	"mutex-holder-dies": mutexHolderDies,
	"election":          election,
	"election-dies":     electionLeaderDies,
	"stm":               stm,
	"naming":            naming,
	"maintenance":       maintenance,
	"snapshot":          snapshot,
	"restart":           restart,
	"auth":              auth,
	"child-register":    childRegister,
	"child-count":       childCount,
	"child-hold":        childHold,
	"child-campaign":    childCampaign,
}

// What a case has: a client, a context that ends with the time limit, and the words after its name.
type probe struct {
	*clientv3.Client
	ctx       context.Context
	address   string
	arguments []string
}

func main() {
	if len(os.Args) < 3 || cases[os.Args[2]] == nil {
		fail("usage: etcd_client HOST:PORT CASE [ARGUMENT...]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p := &probe{connect(os.Args[1]), ctx, os.Args[1], os.Args[3:]}
	defer p.Close()
	cases[os.Args[2]](p)
}

func connect(address string) *clientv3.Client {
	return connectWith(clientv3.Config{Endpoints: []string{address}})
}

func connectWith(config clientv3.Config) *clientv3.Client {
	quiet := zap.NewProductionConfig()
	quiet.OutputPaths, quiet.ErrorOutputPaths = []string{"/dev/null"}, []string{"/dev/null"}
	config.LogConfig = &quiet
	config.DialTimeout = limit
	client, err := clientv3.New(config)
	must(err)
	return client
}

// -------------------------------------------------------------------------------------------------- expectations

// fail ends the program with a message that begins with the line of the case.
func fail(format string, arguments ...interface{}) {
	for depth := 1; ; depth++ {
		_, file, line, ok := runtime.Caller(depth)
		if !ok || !strings.HasSuffix(file, "/main.go") {
			fmt.Printf("%s:%d: ", file[strings.LastIndex(file, "/")+1:], line)
			break
		}
	}
	fmt.Printf(format+"\n", arguments...)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func expect(actual, expected interface{}) {
	if !reflect.DeepEqual(actual, expected) {
		fail("actual:   %#v\nexpected: %#v", actual, expected)
	}
}

// expectError compares texts: errors of the client are made anew for each call.
func expectError(actual, expected error) {
	if actual == nil || actual.Error() != expected.Error() {
		fail("actual:   %v\nexpected: %v", actual, expected)
	}
}

// ------------------------------------------------------------------------------------------------------ requests

func (p *probe) put(key, value string, options ...clientv3.OpOption) int64 {
	answer, err := p.Put(p.ctx, key, value, options...)
	must(err)
	return answer.Header.Revision
}

// get gives the values of the keys, in their order.
func (p *probe) get(key string, options ...clientv3.OpOption) []string {
	answer, err := p.Get(p.ctx, key, options...)
	must(err)
	values := []string{}
	for _, pair := range answer.Kvs {
		values = append(values, string(pair.Value))
	}
	return values
}

func (p *probe) grant(seconds int64) clientv3.LeaseID {
	answer, err := p.Grant(p.ctx, seconds)
	must(err)
	return answer.ID
}

// ------------------------------------------------------------------------------------------------------ children

// A second process of this program.
type child struct {
	command *exec.Cmd
	output  *bufio.Reader
}

// start gives a child that works on the same server.
func (p *probe) start(name string, arguments ...string) *child {
	self, err := os.Executable()
	must(err)
	command := exec.Command(self, append([]string{p.address, name}, arguments...)...)
	pipe, err := command.StdoutPipe()
	must(err)
	must(command.Start())
	return &child{command, bufio.NewReader(pipe)}
}

// expectLine waits until the child has said this.
func (c *child) expectLine(expected string) {
	line, err := c.output.ReadString('\n')
	if err != nil && err != io.EOF {
		fail("%v", err)
	}
	expect(line, expected+"\n")
}

// kill is kill -9: the child says goodbye to nobody.
func (c *child) kill() {
	must(c.command.Process.Kill())
	_ = c.command.Wait()
}

// expectEnd waits until the child has done its work.
func (c *child) expectEnd() {
	rest, _ := io.ReadAll(c.output)
	if err := c.command.Wait(); err != nil {
		fail("a child ended with %v: %s", err, rest)
	}
}

// say tells the parent; wait is what a child does until it is killed.
func say(line string) {
	fmt.Println(line)
}

func (p *probe) wait() {
	<-p.ctx.Done()
}
