/* A stream of JetStream as a work queue, with a durable pull consumer, over the C client of NATS. */
#include "client.h"

#include <nats/nats.h>
#include <stdio.h>
#include <string.h>

struct queue {
    natsConnection *connection;
    jsCtx *stream;
    natsSubscription *subscription;
    const char *name;
};

static void check(const char *what, natsStatus status) {
    if (status != NATS_OK)
        fail(what, natsStatus_GetText(status));
}

struct queue *queue_connect(int port, const char *name, const char *kind) {
    (void)kind;
    struct queue *queue = obtain(sizeof *queue);
    natsOptions *options = NULL;
    char url[64];
    snprintf(url, sizeof url, "nats://127.0.0.1:%d", port);
    check("options", natsOptions_Create(&options));
    check("options", natsOptions_SetURL(options, url));
    /* Nobody else writes on this connection, so there is nothing to gather. */
    check("options", natsOptions_SetSendAsap(options, true));
    check("connect", natsConnection_Connect(&queue->connection, options));
    check("stream", natsConnection_JetStream(&queue->stream, queue->connection, NULL));
    natsOptions_Destroy(options);
    queue->name = name;
    return queue;
}

void queue_create(struct queue *queue) {
    jsStreamConfig config;
    check("stream", jsStreamConfig_Init(&config));
    config.Name = queue->name;
    config.Subjects = &queue->name;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Retention = js_WorkQueuePolicy;
    check("stream", js_AddStream(NULL, queue->stream, &config, NULL, NULL));
}

void queue_push(struct queue *queue, const char *payload) {
    check("push", js_Publish(NULL, queue->stream, queue->name, payload, PAYLOAD_LEN, NULL, NULL));
}

void queue_subscribe(struct queue *queue, int batch) {
    jsSubOptions options;
    check("subscribe", jsSubOptions_Init(&options));
    options.Config.AckPolicy = js_AckExplicit;
    options.Config.MaxAckPending = batch;
    check("subscribe", js_PullSubscribe(&queue->subscription, queue->stream, queue->name, "workers",
                                        NULL, &options, NULL));
}

int queue_work(struct queue *queue, int batch) {
    natsMsgList claimed;
    natsStatus status = natsSubscription_Fetch(&claimed, queue->subscription, batch, PATIENCE_MS, NULL);
    if (status == NATS_TIMEOUT)
        return 0;
    check("claim", status);
    /* The server takes what a connection says in order: its answer to the last is one to all. */
    for (int number = 0; number < claimed.Count - 1; number++)
        check("finish", natsMsg_Ack(claimed.Msgs[number], NULL));
    if (claimed.Count > 0)
        check("finish", natsMsg_AckSync(claimed.Msgs[claimed.Count - 1], NULL, NULL));
    int count = claimed.Count;
    natsMsgList_Destroy(&claimed);
    return count;
}
