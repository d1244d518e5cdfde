// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/naming/endpoints"
	"go.etcd.io/etcd/clientv3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
)

// naming: a gRPC client finds the instances of a service by etcd's resolver, and follows as they come and go.
func naming(p *probe) {
	const service = "naming/service"
	manager, err := endpoints.NewManager(p.Client, service)
	must(err)
	first, second := serve(), serve()
	lease := p.grant(60)
	must(manager.AddEndpoint(p.ctx, service+"/1", endpoints.Endpoint{Addr: first}, clientv3.WithLease(lease)))

	builder, err := resolver.NewBuilder(p.Client)
	must(err)
	connection, err := grpc.Dial("etcd:///"+service, grpc.WithResolvers(builder), grpc.WithInsecure(),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`))
	must(err)
	defer connection.Close()
	expect(p.call(connection), first)
	must(manager.AddEndpoint(p.ctx, service+"/2", endpoints.Endpoint{Addr: second, Metadata: "new"}))
	for p.call(connection) != second {
		// round-robin: soon
	}
	listed, err := manager.List(p.ctx)
	must(err)
	expect(listed, endpoints.Key2EndpointMap{
		service + "/1": {Addr: first},
		service + "/2": {Addr: second, Metadata: "new"},
	})
	_, err = p.Revoke(p.ctx, lease)
	must(err)
	for run := 0; run < 10; run++ {
		if p.call(connection) == first {
			run = 0 // it has not heard yet
		}
	}
}

// serve gives the address of a gRPC server.
func serve() string {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(socket) }()
	return socket.Addr().String()
}

// call gives the address of the server that answered.
func (p *probe) call(connection *grpc.ClientConn) string {
	var from peer.Peer
	_, err := grpc_health_v1.NewHealthClient(connection).Check(p.ctx, &grpc_health_v1.HealthCheckRequest{},
		grpc.Peer(&from), grpc.WaitForReady(true))
	must(err)
	return from.Addr.String()
}
