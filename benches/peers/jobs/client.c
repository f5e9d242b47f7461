/* Pushes or works for a while and says on standard output how many jobs, in how many seconds, with how many
 * seconds of CPU: `client PORT KIND push NAME PRODUCERS SECONDS JOBS`, `client PORT KIND work NAME BATCH SECONDS`.
 *
 * In C, because an interpreter would be slower than some of the servers. Blocking calls and a thread for each
 * producer: the plainest way to wait for one's own. */
#include "client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { PRODUCERS_MAX = 1024 };

struct producer {
    struct queue *queue;
    pthread_t thread;
};

static char payload[PAYLOAD_LEN];
static pthread_barrier_t start_line;
static double deadline;
static atomic_long left_to_push;
static atomic_long pushed;

_Noreturn void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why ? why : "no reason given");
    exit(1);
}

void *obtain(size_t len) {
    void *memory = calloc(1, len);
    if (!memory)
        fail("memory", "there is none");
    return memory;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void *produce(void *argument) {
    struct producer *producer = argument;
    pthread_barrier_wait(&start_line);
    while (now() < deadline && atomic_fetch_sub(&left_to_push, 1) > 0) {
        queue_push(producer->queue, payload);
        atomic_fetch_add(&pushed, 1);
    }
    return NULL;
}

static void push(int port, const char *kind, char **arguments) {
    const char *name = arguments[0];
    int count = atoi(arguments[1]);
    if (count < 1 || count > PRODUCERS_MAX)
        fail("producers", arguments[1]);
    struct producer *producers = obtain((size_t)count * sizeof *producers);
    pthread_barrier_init(&start_line, NULL, (unsigned)count + 1);
    left_to_push = atol(arguments[3]);
    for (int number = 0; number < count; number++) {
        producers[number].queue = queue_connect(port, name, kind);
        if (number == 0)
            queue_create(producers[0].queue);
        if (pthread_create(&producers[number].thread, NULL, produce, &producers[number]))
            fail("thread", "it could not be started");
    }
    double start = now(), cpu = cpu_seconds();
    deadline = start + atof(arguments[2]);
    pthread_barrier_wait(&start_line);
    for (int number = 0; number < count; number++)
        pthread_join(producers[number].thread, NULL);
    printf("%ld %.6f %.6f\n", pushed, now() - start, cpu_seconds() - cpu);
}

static void work(int port, const char *kind, char **arguments) {
    struct queue *queue = queue_connect(port, arguments[0], kind);
    int batch = atoi(arguments[1]);
    if (batch < 1 || batch > BATCH_MAX)
        fail("batch", arguments[1]);
    double start = now(), cpu = cpu_seconds(), last = start;
    long finished = 0;
    deadline = start + atof(arguments[2]);
    queue_subscribe(queue, batch);
    while (last < deadline) {
        int some = queue_work(queue, batch);
        if (some == 0)
            break;
        finished += some;
        /* Finding out that nothing is left takes some systems a while, which is not counted. */
        last = now();
    }
    printf("%ld %.6f %.6f\n", finished, last - start, cpu_seconds() - cpu);
}

int main(int count, char **arguments) {
    memset(payload, 'x', sizeof payload);
    if (count == 8 && strcmp(arguments[3], "push") == 0)
        push(atoi(arguments[1]), arguments[2], arguments + 4);
    else if (count == 7 && strcmp(arguments[3], "work") == 0)
        work(atoi(arguments[1]), arguments[2], arguments + 4);
    else
        fail("usage", "PORT KIND push NAME PRODUCERS SECONDS JOBS | PORT KIND work NAME BATCH SECONDS");
    fflush(stdout);
    /* Threads of some libraries would go on; the server sees the connections end. */
    _Exit(0);
}
