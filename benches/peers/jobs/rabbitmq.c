/* A durable queue of RabbitMQ, quorum or classic: persistent messages, confirms, acknowledged by hand. */
#include "client.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <string.h>
#include <sys/time.h>

/* So long for the rest of a batch of which some came: at the end there is none. */
enum { CHANNEL = 1, FRAME_LEN_MAX = 131072, PERSISTENT = 2, REST_MS = 20 };

struct queue {
    amqp_connection_state_t connection;
    amqp_bytes_t name;
    const char *kind;
};

static void check(struct queue *queue, const char *what) {
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(queue->connection);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        fail(what, amqp_error_string2(reply.library_error));
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        fail(what, "the server refused");
}

struct queue *queue_connect(int port, const char *name, const char *kind) {
    struct queue *queue = obtain(sizeof *queue);
    queue->connection = amqp_new_connection();
    queue->name = amqp_cstring_bytes(name);
    queue->kind = kind;
    amqp_socket_t *socket = amqp_tcp_socket_new(queue->connection);
    if (!socket || amqp_socket_open(socket, "127.0.0.1", port))
        fail("connect", "no connection");
    amqp_rpc_reply_t reply = amqp_login(queue->connection, "/", 0, FRAME_LEN_MAX, 0,
                                        AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        fail("login", "refused");
    amqp_channel_open(queue->connection, CHANNEL);
    check(queue, "channel");
    amqp_confirm_select(queue->connection, CHANNEL);
    check(queue, "confirms");
    return queue;
}

void queue_create(struct queue *queue) {
    amqp_table_entry_t kind = {
        .key = amqp_cstring_bytes("x-queue-type"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(queue->kind)},
    };
    amqp_table_t arguments = {.num_entries = 1, .entries = &kind};
    amqp_queue_declare(queue->connection, CHANNEL, queue->name, 0, 1, 0, 0, arguments);
    check(queue, "queue");
}

void queue_push(struct queue *queue, const char *payload) {
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
        .delivery_mode = PERSISTENT,
    };
    amqp_bytes_t body = {.len = PAYLOAD_LEN, .bytes = (void *)payload};
    int status = amqp_basic_publish(queue->connection, CHANNEL, amqp_empty_bytes, queue->name, 1, 0,
                                    &properties, body);
    if (status)
        fail("push", amqp_error_string2(status));
    amqp_frame_t frame;
    status = amqp_simple_wait_frame(queue->connection, &frame);
    if (status)
        fail("confirm", amqp_error_string2(status));
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
        fail("confirm", "the server did not take it");
    amqp_maybe_release_buffers(queue->connection);
}

void queue_subscribe(struct queue *queue, int batch) {
    amqp_basic_qos(queue->connection, CHANNEL, 0, (uint16_t)batch, 0);
    check(queue, "prefetch");
    amqp_basic_consume(queue->connection, CHANNEL, queue->name, amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    check(queue, "subscribe");
}

int queue_work(struct queue *queue, int batch) {
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000}, rest = {.tv_usec = REST_MS * 1000};
    uint64_t last = 0;
    int count = 0;
    while (count < batch) {
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(queue->connection);
        amqp_rpc_reply_t reply =
            amqp_consume_message(queue->connection, &envelope, count ? &rest : &patience, 0);
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
            if (reply.library_error == AMQP_STATUS_TIMEOUT)
                break;
            fail("claim", amqp_error_string2(reply.library_error));
        }
        last = envelope.delivery_tag;
        count++;
        amqp_destroy_envelope(&envelope);
    }
    /* No more are delivered than one batch: the next begins when the server has taken this. */
    int status = count ? amqp_basic_ack(queue->connection, CHANNEL, last, 1) : 0;
    if (status)
        fail("finish", amqp_error_string2(status));
    return count;
}
