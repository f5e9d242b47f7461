/* A table of PostgreSQL as a queue: FOR UPDATE SKIP LOCKED, claimed and finished in one transaction. */
#include "client.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { BINARY = 1 };

struct queue {
    PGconn *connection;
    const char *name;
    bool can_push;
};

struct queue *queue_connect(int port, const char *name, const char *kind) {
    (void)kind;
    struct queue *queue = obtain(sizeof *queue);
    char target[128];
    snprintf(target, sizeof target, "host=127.0.0.1 port=%d user=postgres dbname=postgres", port);
    queue->connection = PQconnectdb(target);
    queue->name = name;
    if (PQstatus(queue->connection) != CONNECTION_OK)
        fail("connect", PQerrorMessage(queue->connection));
    return queue;
}

/* How many rows it changed. */
static int checked(struct queue *queue, PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail("postgres", PQerrorMessage(queue->connection));
    int rows = atoi(PQcmdTuples(result));
    PQclear(result);
    return rows;
}

static void run(struct queue *queue, const char *sql) {
    checked(queue, PQexec(queue->connection, sql));
}

static void prepare(struct queue *queue, const char *statement, const char *sql) {
    char filled[512];
    snprintf(filled, sizeof filled, sql, queue->name, queue->name);
    checked(queue, PQprepare(queue->connection, statement, filled, 0, NULL));
}

void queue_create(struct queue *queue) {
    char sql[256];
    snprintf(sql, sizeof sql,
             "CREATE TABLE job_%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
             "payload bytea NOT NULL)",
             queue->name);
    run(queue, sql);
}

void queue_push(struct queue *queue, const char *payload) {
    if (!queue->can_push) {
        prepare(queue, "push", "INSERT INTO job_%s (payload) VALUES ($1)");
        queue->can_push = true;
    }
    const char *values[] = {payload};
    const int lens[] = {PAYLOAD_LEN}, formats[] = {BINARY};
    checked(queue, PQexecPrepared(queue->connection, "push", 1, values, lens, formats, BINARY));
}

void queue_subscribe(struct queue *queue, int batch) {
    (void)batch;
    prepare(queue, "claim",
            "DELETE FROM job_%s WHERE id = ANY (ARRAY(SELECT id FROM job_%s ORDER BY id "
            "FOR UPDATE SKIP LOCKED LIMIT $1::int)) RETURNING id, payload");
}

int queue_work(struct queue *queue, int batch) {
    char limit[16];
    snprintf(limit, sizeof limit, "%d", batch);
    const char *values[] = {limit};
    /* Between claim and COMMIT the jobs would be done; whoever dies in between lets them go. */
    run(queue, "BEGIN");
    PGresult *claimed = PQexecPrepared(queue->connection, "claim", 1, values, NULL, NULL, BINARY);
    int count = checked(queue, claimed);
    run(queue, "COMMIT");
    return count;
}
