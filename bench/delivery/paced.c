/* An open-loop HTTP client: asks at a fixed rate, whatever the answers do, and says how late they were.
 *
 *     paced HOST PORT RATE CONNECTIONS SECONDS < REQUEST
 *
 * Request k is due k/RATE seconds after the start. When it is due it goes out on a connection that is free; if there is
 * none it waits for one, and that wait counts: a latency is from the moment a request was due to the last byte of its
 * answer. So a server that stops for a second is charged for every request that should have been sent in that second
 * (the mistake of not doing so is known as coordinated omission). What is unfinished at the end counts as if it had come
 * then. Prints one JSON object, times in seconds.
 *
 * It never sleeps: with a processor of its own that is the only way to be on time to a few microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define HEAD_BYTES 8192
#define PIECE_BYTES (256 * 1024)
#define MOST_CONNECTIONS 4096
#define MOST_REQUESTS 20000000L
#define NANO 1000000000L
/* A poll takes a microsecond; more often than this it would only take time from the reading. */
#define DUE_AT_ONCE 64

struct connection {
    int fd, in_body;
    long due, left;
    size_t filled;
    char head[HEAD_BYTES];
};

static char request[HEAD_BYTES], piece[PIECE_BYTES];
static struct connection *idle[MOST_CONNECTIONS];
static int idle_count;
static size_t request_size;
static long *latencies, finished, failed;

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * NANO + time.tv_nsec;
}

static void end(struct connection *c)
{
    latencies[finished++] = now() - c->due;
    c->due = -1, c->in_body = 0, c->filled = 0;
    idle[idle_count++] = c;
}

/* Its request, if there was one, counts as failed; it is not given another. */
static void drop(struct connection *c)
{
    failed++;
    close(c->fd);
    c->due = -1;
}

/* False: the server closed, or what it sent is not a 200 or 206 with a length. */
static int receive(struct connection *c)
{
    for (;;) {
        char *into = c->in_body ? piece : c->head + c->filled;
        /* The head is read with what fits beside it; the rest of the body goes where nobody looks. */
        size_t room = c->in_body ? (c->left < PIECE_BYTES ? (size_t)c->left : PIECE_BYTES) : HEAD_BYTES - 1 - c->filled;
        ssize_t got = recv(c->fd, into, room, MSG_DONTWAIT);
        if (got < 0) return errno == EAGAIN;
        if (got == 0 || c->due < 0) return 0;
        if (c->in_body)
            c->left -= got;
        else {
            c->filled += got;
            c->head[c->filled] = 0;
            char *body = strstr(c->head, "\r\n\r\n");
            if (!body) {
                if (c->filled == HEAD_BYTES - 1) return 0;
                continue;
            }
            body[2] = 0;
            char *length = strcasestr(c->head, "\r\ncontent-length:");
            if (strncmp(c->head, "HTTP/1.1 20", 11) || !length) return 0;
            c->left = atol(length + 17) - (c->filled - (body + 4 - c->head));
            c->in_body = 1;
        }
        if (c->left < 0) return 0;
        if (c->left == 0) {
            end(c);
            return 1;
        }
    }
}

static int in_order(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static double share(double part) { return finished ? latencies[(long)(part * (finished - 1))] / (double)NANO : 0; }

int main(int count, char **words)
{
    if (count != 6) return fprintf(stderr, "usage: paced HOST PORT RATE CONNECTIONS SECONDS < REQUEST\n"), 2;
    double rate = atof(words[3]), seconds = atof(words[5]);
    int connections = atoi(words[4]);
    long total = (long)(rate * seconds);
    if (connections < 1 || connections > MOST_CONNECTIONS || total < 1 || total > MOST_REQUESTS)
        return fprintf(stderr, "paced: expected 1 to %d connections and 1 to %ld requests\n",
                       MOST_CONNECTIONS, MOST_REQUESTS), 2;
    request_size = fread(request, 1, sizeof request, stdin);
    latencies = malloc(total * sizeof *latencies);
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[2]))};
    if (inet_pton(AF_INET, words[1], &address.sin_addr) != 1) return fprintf(stderr, "paced: no IPv4 address\n"), 2;
    int poll = epoll_create1(0), one = 1;
    struct connection *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        struct connection *c = &all[i];
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) return perror("paced"), 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->due = -1;
        idle[idle_count++] = c;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event);
    }
    long start = now(), limit = start + (long)(seconds * NANO), asked = 0;
    struct epoll_event events[EVENTS];
    while (finished + failed < total && now() < limit) {
        for (int i = 0; i < DUE_AT_ONCE && asked < total && idle_count; i++) {
            long due = start + (long)(asked * (NANO / rate));
            if (due > now()) break;
            struct connection *c = idle[--idle_count];
            c->due = due;
            asked++;
            if (send(c->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) drop(c);
        }
        int ready = epoll_wait(poll, events, EVENTS, 0);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!receive(c)) drop(c);
        }
    }
    long over = now(), late = 0;
    for (int i = 0; i < connections; i++)
        if (all[i].due >= 0 && finished < total) latencies[finished++] = over - all[i].due, late++;
    for (; asked < total && finished < total; asked++) {
        long due = start + (long)(asked * (NANO / rate));
        if (due >= over) break;
        latencies[finished++] = over - due, late++;
    }
    qsort(latencies, finished, sizeof *latencies, in_order);
    printf("{\"asked\": %ld, \"unfinished\": %ld, \"failed\": %ld, \"p50_s\": %.9f, \"p99_s\": %.9f, \"max_s\": %.9f}\n",
           finished, late, failed, share(0.5), share(0.99), share(1.0));
    return 0;
}
