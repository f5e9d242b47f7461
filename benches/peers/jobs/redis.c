/* A stream of Redis with a group of consumers, over hiredis. */
#include "client.h"

#include <hiredis/hiredis.h>
#include <string.h>

struct queue {
    redisContext *connection;
    const char *name;
};

struct queue *queue_connect(int port, const char *name, const char *kind) {
    (void)kind;
    struct queue *queue = obtain(sizeof *queue);
    queue->connection = redisConnect("127.0.0.1", port);
    queue->name = name;
    if (!queue->connection || queue->connection->err)
        fail("connect", queue->connection ? queue->connection->errstr : NULL);
    return queue;
}

static redisReply *checked(struct queue *queue, void *answer) {
    redisReply *reply = answer;
    if (!reply)
        fail("redis", queue->connection->errstr);
    if (reply->type == REDIS_REPLY_ERROR)
        fail("redis", reply->str);
    return reply;
}

void queue_create(struct queue *queue) {
    const char *create = "XGROUP CREATE %s workers 0 MKSTREAM";
    freeReplyObject(checked(queue, redisCommand(queue->connection, create, queue->name)));
}

void queue_push(struct queue *queue, const char *payload) {
    void *answer = redisCommand(queue->connection, "XADD %s * payload %b", queue->name, payload,
                                (size_t)PAYLOAD_LEN);
    freeReplyObject(checked(queue, answer));
}

void queue_subscribe(struct queue *queue, int batch) {
    (void)queue;
    (void)batch;
}

int queue_work(struct queue *queue, int batch) {
    const char *claim = "XREADGROUP GROUP workers one COUNT %d STREAMS %s >";
    redisReply *reply = checked(queue, redisCommand(queue->connection, claim, batch, queue->name));
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        freeReplyObject(reply);
        return 0;
    }
    /* One stream, of it [name, entries], of each entry [id, fields]. */
    redisReply *entries = reply->element[0]->element[1];
    const char *words[BATCH_MAX + 3] = {"XACK", queue->name, "workers"};
    int count = 3;
    for (size_t number = 0; number < entries->elements && number < BATCH_MAX; number++)
        words[count++] = entries->element[number]->element[0]->str;
    redisReply *acked = checked(queue, redisCommandArgv(queue->connection, count, words, NULL));
    if (acked->integer != count - 3)
        fail("redis", "it did not finish all of them");
    freeReplyObject(acked);
    freeReplyObject(reply);
    return count - 3;
}
