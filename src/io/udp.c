/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One recvmmsg per turn, into the loop's read buffer; level-triggered, so what it leaves is reported again. A socket
 * bound to all addresses learns by IP_PKTINFO which one was asked, and answers from that one: a client drops an answer
 * from another.
 */
#include "io/udp.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 32 };
_Static_assert(BATCH *UDP_BYTES_MAX <= LOOP_READ_BUFFER_BYTES, "a batch fits into the read buffer");

/* Room for either kind of address information, aligned as control messages must be. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct udp_socket {
    struct loop_source source;
    struct loop *loop;
    udp_fn on_datagram;
    void *ctx;
    struct addr addr;
};

static void read_local(struct msghdr *message, struct udp_path *path)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
        if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
            path->local.family = AF_INET;
            memcpy(path->local.ip, &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
        } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(cmsg), sizeof(info));
            path->local.family = AF_INET6;
            path->local_index = info.ipi6_ifindex;
            memcpy(path->local.ip, &info.ipi6_addr, sizeof(info.ipi6_addr));
        }
    }
}

/* The other way round: the control message that has the kernel send from path->local. */
static void write_local(struct msghdr *message, union control *control, const struct udp_path *path)
{
    if (path->local.family == 0)
        return;
    message->msg_control = control;
    message->msg_controllen = sizeof(*control);
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(message);
    if (path->local.family == AF_INET) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, path->local.ip, sizeof(info.ipi_spec_dst));
        *cmsg = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO};
        memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
        message->msg_controllen = CMSG_SPACE(sizeof(info));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = path->local_index};
        memcpy(&info.ipi6_addr, path->local.ip, sizeof(info.ipi6_addr));
        *cmsg = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO};
        memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
        message->msg_controllen = CMSG_SPACE(sizeof(info));
    }
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    (void)events;
    struct udp_socket *sock = container_of(source, struct udp_socket, source);
    char *buffer = loop_read_buffer(sock->loop);
    struct mmsghdr messages[BATCH];
    struct iovec iov[BATCH];
    struct udp_path paths[BATCH];
    union control controls[BATCH];
    for (int i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){buffer + (size_t)i * UDP_BYTES_MAX, UDP_BYTES_MAX};
        paths[i] = (struct udp_path){0};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &paths[i].peer.any,
            .msg_namelen = sizeof(struct addr) - offsetof(struct addr, any),
            .msg_iov = &iov[i],
            .msg_iovlen = 1,
            .msg_control = &controls[i],
            .msg_controllen = sizeof(controls[i]),
        };
    }

    /*
     * On failure (the ICMP error of an earlier answer, for one) the error is cleared, and there is nothing more to do.
     */
    int n = recvmmsg(source->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        struct msghdr *message = &messages[i].msg_hdr;
        if (message->msg_flags & MSG_TRUNC)
            continue;
        paths[i].peer.len = message->msg_namelen;
        read_local(message, &paths[i]);
        sock->on_datagram(sock->ctx, sock, slice_from(iov[i].iov_base, messages[i].msg_len), &paths[i]);
    }
}

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Binds, and asks for the address of each datagram where it is not the one bound to. */
static int start(struct udp_socket *sock, bool reuse_port)
{
    int fd = sock->source.fd;
    bool is_v6 = sock->addr.any.sa_family == AF_INET6;
    int r = reuse_port ? set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
    if (r == 0 && addr_is_unspecified(&sock->addr)) {
        if (is_v6)
            r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
        if (r == 0 && is_v6)
            r = set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        if (r == 0 && !is_v6)
            r = set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    }
    if (r < 0)
        return r;
    if (bind(fd, &sock->addr.any, sock->addr.len) < 0 || getsockname(fd, &sock->addr.any, &sock->addr.len) < 0)
        return -errno;
    return loop_add(sock->loop, &sock->source, EPOLLIN);
}

int udp_open(struct loop *loop, const struct addr *addr, bool reuse_port, udp_fn on_datagram, void *ctx,
             struct udp_socket **ret_socket, struct err *err)
{
    ASSERT(addr->any.sa_family != AF_UNIX);
    char text[ADDR_TEXT_MAX];
    (void)addr_format(addr, text);
    struct udp_socket *sock = malloc(sizeof(*sock));
    if (!sock)
        return err_set_errno(err, -ENOMEM, "cannot open UDP %s", text);
    *sock = (struct udp_socket){
        .source = {.fd = socket(addr->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                   .on_ready = on_ready},
        .loop = loop,
        .on_datagram = on_datagram,
        .ctx = ctx,
        .addr = *addr,
    };
    int r = sock->source.fd < 0 ? -errno : start(sock, reuse_port);
    if (r < 0) {
        if (sock->source.fd >= 0)
            (void)close(sock->source.fd);
        free(sock);
        return err_set_errno(err, r, "cannot open UDP %s", text);
    }
    *ret_socket = sock;
    return 0;
}

void udp_close(struct udp_socket *sock)
{
    if (!sock)
        return;
    loop_remove(sock->loop, &sock->source);
    (void)close(sock->source.fd);
    free(sock);
}

const struct addr *udp_addr(const struct udp_socket *sock)
{
    return &sock->addr;
}

int udp_send(struct udp_socket *sock, const struct udp_path *path, struct slice bytes)
{
    union control control;
    struct iovec iov = {(void *)(uintptr_t)bytes.ptr, bytes.len};
    struct msghdr message = {
        .msg_name = (void *)(uintptr_t)&path->peer.any,
        .msg_namelen = path->peer.len,
        .msg_iov = &iov,
        .msg_iovlen = 1,
    };
    write_local(&message, &control, path);
    return sendmsg(sock->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
