/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Write your own Postern helper: the protocol of postern-helper(7), version 1, in C. postern-auth is written with it.
 *
 * A helper listens on a Unix socket. The mail gate connects, asks "may this user in, and where does the mail live?"
 * as often as people log in, and the helper answers, in any order. The whole of a helper:
 *
 *     static void verify(void* context, postern_helper* helper, postern_question* question) {
 *       postern_answer answer = {0};                       // all zero: "unavailable"
 *       if (is_right(question->user, question->password)) {
 *         answer.result = POSTERN_OK;
 *         answer.pool = postern_text("default");
 *       } else {
 *         answer.result = POSTERN_REJECT;
 *       }
 *       postern_helper_answer(helper, question, &answer);  // now, or later from any thread
 *     }
 *
 *     int fd = postern_helper_listen("/run/postern/auth.sock", 0660, (gid_t)-1);
 *     postern_helper_options options = {.listener = fd, .name = "my-helper", .verify = verify};
 *     postern_helper* helper = postern_helper_new(&options);
 *     postern_helper_serve(helper);                          // until postern_helper_stop()
 *
 * Compile with `cc helper.c $(pkg-config --cflags --libs postern-helper)`; `pkg-config --static --libs` says what the
 * static library needs besides. Nothing here throws, and no function keeps a pointer of yours beyond its call unless it
 * says so. Lines and questions hold passwords: all memory that this library used for them is overwritten before it is
 * freed. */
#ifndef POSTERN_HELPER_H
#define POSTERN_HELPER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the wire protocol that this library speaks. */
#define POSTERN_HELPER_VERSION 1

/* Bytes of one line, its LF counted. Longer lines exist in neither direction. */
#define POSTERN_HELPER_LINE_MAX 16384

/* A run of bytes. `data` == NULL: the value is not there at all; `size` == 0 with a `data`: it is there and empty.
 * Values are bytes, not C strings: they may hold a NUL and do not end in one. */
typedef struct postern_bytes {
  const char* data;
  size_t size;
} postern_bytes;

/* The bytes of a C string; it must live as long as they are used. NULL gives the value that is not there. */
static inline postern_bytes postern_text(const char* text) {
  postern_bytes bytes = {text, text != NULL ? strlen(text) : 0};
  return bytes;
}

/* How a call went. */
typedef enum postern_fault {
  POSTERN_FINE = 0,
  POSTERN_TOO_LONG,  /* the line has, or would have, more than POSTERN_HELPER_LINE_MAX bytes or 256 pairs */
  POSTERN_MALFORMED, /* the line is not what the protocol allows; or a value of yours contradicts another */
  POSTERN_NO_ROOM,   /* your buffer is too small for the line */
  POSTERN_SYSTEM     /* the system refused: see errno */
} postern_fault;

/* ---- Questions ------------------------------------------------------------------------------------------------- */

/* One line of the gate, decoded. Values that the line did not carry have `data` == NULL. All values live until the
 * question is freed or answered. */
typedef struct postern_question {
  postern_bytes op;          /* "verify", "scram", "hello", or a word of a later version */
  postern_bytes id;          /* what the answer must repeat; up to 64 bytes */
  postern_bytes protocol;    /* "imap", "pop3", "submission", "sieve" */
  postern_bytes mechanism;   /* "LOGIN", "PLAIN", "OAUTHBEARER", "XOAUTH2", "EXTERNAL", "SCRAM-SHA-256" */
  postern_bytes user;        /* the name as the mail program sent it, to the octet */
  postern_bytes authzid;     /* whose mailbox it wants, where that is not `user` (RFC 4616, section 2) */
  postern_bytes password;    /* what it sent; not with the mechanisms that carry a token or a certificate */
  postern_bytes token;       /* OAUTHBEARER, XOAUTH2 */
  postern_bytes subject;     /* EXTERNAL: the subject of the certificate that the gate has verified */
  postern_bytes common_name; /* ... the common name in it */
  postern_bytes email;       /* ... its address */
  postern_bytes fingerprint; /* ... SHA-256 of the whole certificate, in hexadecimal */
  postern_bytes client;      /* "203.0.113.7:4711" or "[2001:db8::7]:4711": where the mail program is */
  postern_bytes local;       /* the address and port that it connected to */
  postern_bytes listener;    /* the listener's name in the gate's configuration */
  postern_bytes tls;         /* "TLSv1.3"; not there: the connection is in clear */
  postern_bytes sni;         /* the host name that it asked for in TLS */
  postern_bytes session;     /* the gate's name of the session, for your log */
} postern_question;

/* Reads one line.
 *   line, size  the line's bytes, with or without the LF (or CR LF) at its end. Not changed; wipe it if it is yours.
 *   question    gets a question of its own, to be freed with postern_question_free(); NULL after a fault.
 * Faults: POSTERN_TOO_LONG; POSTERN_MALFORMED for a broken %XX, for a known key that comes twice, for an id of more than
 * 64 bytes. A line without `op`, or with one that you do not know, is no fault: answer it with POSTERN_ERROR. */
postern_fault postern_question_parse(const char* line, size_t size, postern_question** question)
    __attribute__((warn_unused_result));

/* The first value under any key, also those that postern_question has no field for.
 *   question  from postern_question_parse() or the verify callback.
 *   key       a C string.
 * `data` == NULL if the line did not carry it. */
postern_bytes postern_question_get(const postern_question* question, const char* key);

/* Wipes and frees a question that nobody answers. NULL is allowed. */
void postern_question_free(postern_question* question);

/* ---- Answers --------------------------------------------------------------------------------------------------- */

/* What a helper says of a login. Zero is the cautious one. */
typedef enum postern_result {
  POSTERN_UNAVAILABLE = 0, /* nobody knows at the moment; the mail program keeps its password and comes again */
  POSTERN_OK,              /* in */
  POSTERN_REJECT,          /* out */
  POSTERN_ERROR            /* the question made no sense to this helper; the gate treats it as POSTERN_UNAVAILABLE */
} postern_result;

/* Why POSTERN_REJECT. */
typedef enum postern_reason {
  POSTERN_REASON_CREDENTIALS = 0, /* no such user, or wrong password: say the same for both */
  POSTERN_REASON_DISABLED,        /* the password is right, the account is switched off */
  POSTERN_REASON_NOT_ALLOWED      /* the password is right, but not from here, by this protocol, for that mailbox */
} postern_reason;

/* How the gate's connection to the mail server is protected. */
typedef enum postern_back_tls {
  POSTERN_TLS_UNSAID = 0, /* as the pool says */
  POSTERN_TLS_NONE,
  POSTERN_TLS_STARTTLS,
  POSTERN_TLS_IMPLICIT
} postern_back_tls;

typedef enum postern_choice { POSTERN_UNSAID = 0, POSTERN_NO, POSTERN_YES } postern_choice;

/* An answer. Set it to all zero, then fill in what you mean: zero and `data` == NULL mean "not said" everywhere. Its
 * values are yours and are only read during the call. Fields that do not belong to `result` are ignored. */
typedef struct postern_answer {
  postern_result result;

  /* With POSTERN_OK: where the mail lives and how the gate logs in there. What is not said comes from the pool. */
  postern_bytes user;            /* the name at the mail server; not said: as the mail program sent it */
  postern_bytes password;        /* not empty; not said: the mail program's own password */
  postern_bytes master_user;     /* log in as this one on behalf of `user` ... */
  postern_bytes master_password; /* ... with this password. Both or none; not together with `password` */
  const postern_bytes* back;     /* `back_count` addresses "192.0.2.1:143", "[2001:db8::1]:143", tried in this order */
  size_t back_count;
  postern_bytes pool; /* a pool of the gate's configuration; not together with `back` */
  postern_back_tls tls;
  postern_bytes tls_name;  /* the name that the mail server's certificate must show */
  postern_bytes mechanism; /* "LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER" or "EXTERNAL" */
  uint32_t proxy_protocol; /* 1 or 2: begin with a PROXY header of that version */
  postern_choice xclient;  /* tell the mail server of the mail program by XCLIENT */
  uint32_t sessions_max;   /* of this user at one time */

  /* While the user is being moved: the address of another mail server, which is asked where those of `back` or `pool` say
   * that he cannot log in; and the name in its certificate, if that is another. */
  postern_bytes moving_to;
  postern_bytes moving_to_tls_name;

  /* With POSTERN_OK to `op=scram`: the stored keys (RFC 5802, section 3), as bytes. The route cannot lean on the mail
   * program's password, which nobody sends: give `password` or `master_user`. */
  uint32_t iterations;      /* at least 4096; zero: there are no keys */
  postern_bytes salt;       /* up to 128 bytes */
  postern_bytes stored_key; /* 32 bytes */
  postern_bytes server_key; /* 32 bytes */

  /* With POSTERN_OK and POSTERN_REJECT: what the gate may remember. */
  uint32_t ttl_s;       /* for how many seconds; not said: as the gate is configured */
  postern_choice cache; /* POSTERN_NO: not at all */
  postern_bytes vary;   /* "client": the answer holds only for this address of the mail program */

  /* With POSTERN_REJECT. */
  postern_reason reason;
  uint32_t delay_ms;  /* the mail program hears of it so much later: slows guessing down */
  postern_bytes code; /* a response code for the mail program (RFC 5530), without brackets */

  /* With every result: a sentence. With POSTERN_REJECT and POSTERN_UNAVAILABLE people may read it in their mail
   * program; never put a secret into it. */
  postern_bytes text;
} postern_answer;

/* Writes an answer's line.
 *   id      the question's id. Not there: only allowed with POSTERN_ERROR.
 *   answer  what to say.
 *   line    gets the line with its LF, without a NUL. It may show a password: wipe it after use.
 *   room    bytes at `line`; POSTERN_HELPER_LINE_MAX is always enough.
 *   size    gets the line's size in bytes; 0 after a fault.
 * Faults: POSTERN_MALFORMED (no id, `pool` with `back`, a master user without its password, ...), POSTERN_TOO_LONG,
 * POSTERN_NO_ROOM. */
postern_fault postern_answer_build(postern_bytes id, const postern_answer* answer, char* line, size_t room,
                                   size_t* size) __attribute__((warn_unused_result));

/* Writes `op=invalidate`: the gate forgets what it remembers of a user.
 *   user              the name as mail programs send it; "*" for all users. Must not be empty.
 *   line, room, size  as in postern_answer_build(). */
postern_fault postern_invalidate_build(postern_bytes user, char* line, size_t room, size_t* size)
    __attribute__((warn_unused_result));

/* Writes `op=hello`, the answer to the gate's own.
 *   name              what this helper is called in the gate's log. Must not be empty.
 *   line, room, size  as in postern_answer_build(). */
postern_fault postern_hello_build(postern_bytes name, char* line, size_t room, size_t* size)
    __attribute__((warn_unused_result));

/* ---- Serving --------------------------------------------------------------------------------------------------- */

/* Makes the listening socket.
 *   path   where; its folder must exist.
 *   mode   the socket's permissions, for example 0660: who may connect may try passwords.
 *   group  the socket's group; (gid_t)-1 leaves it as it comes.
 * Returns the descriptor (non-blocking, close-on-exec), or -1 with errno. A socket that a dead process left behind is
 * replaced. errno EADDRINUSE: another process listens there; EEXIST: `path` is something else than a socket; neither
 * is touched. Several processes may start at once: the folder is locked (flock) meanwhile. */
int postern_helper_listen(const char* path, mode_t mode, gid_t group);

/* Removes `path` and closes `listener`, which postern_helper_listen() made for it. */
void postern_helper_unlisten(int listener, const char* path);

typedef struct postern_helper postern_helper;

/* Who is at the other end of a connection, as the kernel says (SO_PEERCRED). */
typedef struct postern_peer {
  pid_t pid;
  uid_t uid;
  gid_t gid;
} postern_peer;

typedef struct postern_helper_options {
  /* A listening stream socket. It stays yours, but is made non-blocking. */
  int listener;
  /* What this helper is called in the gate's log; must live as long as the helper. NULL: "helper". */
  const char* name;
  /* Called on the serving thread for each `op=verify`; must not block. The question is yours now and must be answered
   * exactly once with postern_helper_answer(): here, or later, from any thread. */
  void (*verify)(void* context, postern_helper* helper, postern_question* question);
  /* The same for each `op=scram`: wants the stored keys of `user` (postern_answer). POSTERN_REJECT if there are none: the
   * gate does not let the mail program notice. NULL: this helper knows no keys. */
  void (*scram)(void* context, postern_helper* helper, postern_question* question);
  /* Called on the serving thread for each new connection; nonzero lets it in, 0 closes it. NULL: all may in. */
  int (*admit)(void* context, const postern_peer* peer);
  /* The first argument of the callbacks. */
  void* context;
  /* Connections at one time; further ones wait in the listener's queue. 0: 256. */
  uint32_t connections_max;
  /* Questions of one connection that are not answered yet; at the limit the connection is not read. 0: 4096. */
  uint32_t in_flight_max;
  /* How long postern_helper_serve() waits after postern_helper_stop() for answers that are due. 0: 5000. */
  uint32_t drain_ms;
} postern_helper_options;

/* Makes a helper; NULL with errno if the system refuses or `options` lacks a listener or `verify`.
 *   options  is copied. */
postern_helper* postern_helper_new(const postern_helper_options* options);

/* Serves until postern_helper_stop(), then finishes what is due and closes all connections, but not the listener.
 * POSTERN_SYSTEM with errno if the system refuses to go on. `op=hello` is answered here; an unknown `op`, a malformed
 * line and a verify without id get `result=error`; a line that is too long too, and then its connection ends when all
 * that is due has been said. A peer that does not read its answers is not read either. */
postern_fault postern_helper_serve(postern_helper* helper);

/* Answers a question and frees it, whatever is returned; from any thread.
 *   helper    the one whose callback got `question`.
 *   question  never used again by the caller.
 *   answer    only read during the call.
 * If the gate is gone meanwhile the answer goes nowhere, which is no fault. An answer that cannot be built
 * (POSTERN_MALFORMED, POSTERN_TOO_LONG) is returned as a fault, and the gate hears POSTERN_UNAVAILABLE. */
postern_fault postern_helper_answer(postern_helper* helper, postern_question* question, const postern_answer* answer);

/* Sends `op=invalidate` for `user` ("*": all) on every connection; from any thread. */
postern_fault postern_helper_invalidate(postern_helper* helper, postern_bytes user);

/* Who asked. Valid until the question is answered. NULL for a question of postern_question_parse(). */
const postern_peer* postern_question_peer(const postern_question* question);

/* Makes postern_helper_serve() end; from any thread, and from a signal handler. */
void postern_helper_stop(postern_helper* helper);

/* Frees a helper that does not serve any more and whose questions are all answered. NULL is allowed. */
void postern_helper_free(postern_helper* helper);

#ifdef __cplusplus
}
#endif

#endif /* POSTERN_HELPER_H */
