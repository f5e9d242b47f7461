/* What each system has a file of: a connection to its server, and jobs pushed, claimed and finished over it. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stddef.h>

enum { PAYLOAD_LEN = 100, BATCH_MAX = 256, PATIENCE_MS = 2000 };

/* A connection of its own for each producer and for the worker. */
struct queue;

/* `kind` tells one set-up of a system from another; most have one only. */
struct queue *queue_connect(int port, const char *name, const char *kind);

/* Makes the queue on the server. */
void queue_create(struct queue *queue);

/* Returns when the server has acknowledged it. */
void queue_push(struct queue *queue, const char *payload);

/* Called once, before the first `queue_work`. */
void queue_subscribe(struct queue *queue, int batch);

/* Claims up to `batch` jobs, finishes them, and returns how many there were: 0 when none is left. */
int queue_work(struct queue *queue, int batch);

/* Says what went wrong on standard error and ends the process. */
_Noreturn void fail(const char *what, const char *why);

/* Memory or the end of the process. */
void *obtain(size_t len);

#endif
