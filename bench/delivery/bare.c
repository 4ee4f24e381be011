/* The limit that servers are compared with: one thread, one epoll set, sendfile, and nothing that a server also needs.
 *
 *     bare ROOT PORT UNSENT
 *
 * Answers GET for files under ROOT on 127.0.0.1, whole or one `Range: bytes=FIRST-LAST`. It has no time limits, no log,
 * no check of paths, no error but 404, and forgets no file that it opened: it must never listen to anybody else.
 *
 * What it does do is what makes sendfile fast: heads go out with MSG_MORE, so that they share a packet with the body, and
 * sockets are registered once, edge-triggered, so that there is no epoll_ctl per request. UNSENT bounds the bytes that
 * wait in the kernel (TCP_NOTSENT_LOWAT; 0 leaves the system's limit): fewer are still in the processor's cache when they
 * leave, and cost more wake-ups. Which of the two wins depends on the machine, so both are measured and the best counts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS 512
#define HEAD_BYTES 4096
#define FILES 64

struct file { char path[256]; int fd; off_t size; };

struct connection {
    int fd, file;
    off_t offset, end;
    size_t filled;
    char input[HEAD_BYTES];
};

static struct file files[FILES];
static int file_count;
static const char *root;

static struct file *find(const char *path)
{
    for (int i = 0; i < file_count; i++)
        if (!strcmp(files[i].path, path)) return &files[i];
    char full[1024];
    struct stat status;
    if (file_count == FILES || strlen(path) >= sizeof files[0].path) return NULL;
    snprintf(full, sizeof full, "%s%s", root, path);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) return NULL;
    struct file *file = &files[file_count++];
    strcpy(file->path, path);
    file->fd = fd;
    file->size = status.st_size;
    return file;
}

/* Sends the head of the answer to the request at the start of the input. False: the connection is of no more use. */
static int answer(struct connection *c)
{
    char head[256], *path = c->input + 4, *end, *range;
    int length;
    if (strncmp(c->input, "GET ", 4) || !(end = strchr(path, ' '))) return 0;
    range = strstr(end, "\r\nRange: bytes=");
    *end = 0;
    struct file *file = find(path);
    if (!file) {
        length = sprintf(head, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        return send(c->fd, head, length, MSG_NOSIGNAL) == length;
    }
    c->file = file->fd, c->offset = 0, c->end = file->size;
    if (range) {
        long long first, last;
        if (sscanf(range + 15, "%lld-%lld", &first, &last) != 2 || first > last || last >= file->size) return 0;
        c->offset = first, c->end = last + 1;
        length = sprintf(head, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %lld-%lld/%lld\r\n"
                         "Content-Length: %lld\r\n\r\n", first, last, (long long)file->size, last - first + 1);
    } else
        length = sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", (long long)file->size);
    return send(c->fd, head, length, MSG_NOSIGNAL | MSG_MORE) == length;
}

/* Sends and reads until neither is possible. False: the connection is of no more use. */
static int advance(struct connection *c)
{
    for (;;) {
        while (c->offset < c->end) {
            ssize_t sent = sendfile(c->fd, c->file, &c->offset, c->end - c->offset);
            if (sent < 0) {
                int is_full = errno == EAGAIN, on = 1;
                /* Pushes what TCP holds back for more: with few unsent bytes allowed, none would ever be taken. */
                if (is_full) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                return is_full;
            }
            if (sent == 0) return 0;
        }
        ssize_t got = recv(c->fd, c->input + c->filled, HEAD_BYTES - 1 - c->filled, 0);
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return 0;
        c->filled += got;
        c->input[c->filled] = 0;
        char *end = strstr(c->input, "\r\n\r\n");
        if (!end) {
            if (c->filled == HEAD_BYTES - 1) return 0;
            continue;
        }
        c->filled = 0; /* clients here wait for an answer before they ask again */
        if (!answer(c)) return 0;
    }
}

int main(int count, char **words)
{
    if (count != 4) return fprintf(stderr, "usage: bare ROOT PORT UNSENT\n"), 2;
    root = words[1];
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, unsent = atoi(words[3]);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[2]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        return perror("bare"), 1;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN}, events[EVENTS];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    if (unsent) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
                    event.data.ptr = c;
                    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
                }
            } else if (!advance(c)) {
                close(c->fd);
                free(c);
            }
        }
    }
}
