/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole helper for the mail gate Postern, with its C library. Build and start it:
 *   cc helper.c -o helper $(pkg-config --cflags --libs postern-helper) -lcrypt && ./helper /run/postern/auth.sock
 * The library does the talking; what a helper may say is in <postern/helper.h> and in postern-helper(7). */
#include <crypt.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include <postern/helper.h>

/* Change this: your users, their hash (`mkpasswd`, or `postern-auth hash`) and their mail server. Or ask your database
 * in verify(). The hash is that of "demo password". */
static const struct user {
  const char *name, *hash, *back;
} users[] = {{"demo@example.test",
              "$6$demosalt$br9aVr3MEd/NoZHi78IgQTU0pd4wRTvA2JQRb/XXjiqaMh9wgIg/7mq105AcGLiWxK4kXZOMLnt6Oy3ND/6901",
              "127.0.1.1:143"}};
static const struct user nobody = {"", "$6$nobodyssalt$", ""}; /* is hashed too: a stopwatch must not tell who exists */

static const struct user* find(postern_bytes name) {
  for (size_t i = 0; i < sizeof users / sizeof *users; ++i) {
    if (name.size == strlen(users[i].name) && strncasecmp(name.data, users[i].name, name.size) == 0) return &users[i];
  }
  return &nobody;
}

/* True for the right password. A password with a NUL in it is none: crypt() would see only what stands before. */
static int is_right(const struct user* user, postern_bytes password) {
  char text[512]; /* crypt() reads no more either */
  if (password.size == 0 || password.size >= sizeof text || memchr(password.data, 0, password.size)) return 0;
  memcpy(text, password.data, password.size);
  text[password.size] = 0;
  struct crypt_data work = {0};
  const char* hash = crypt_r(text, user->hash, &work);
  const int same = user != &nobody && hash != NULL && strcmp(hash, user->hash) == 0;
  explicit_bzero(text, sizeof text);
  explicit_bzero(&work, sizeof work);
  return same;
}

/* Hashing here holds up the other questions: with many users, hand them to threads that answer when they are done. */
static void verify(void* context, postern_helper* helper, postern_question* question) {
  (void)context;
  postern_answer answer = {0}; /* all zero is "unavailable" */
  const struct user* user = find(question->user);
  const postern_bytes back = postern_text(user->back);
  if (question->password.data == NULL) { /* a token or a certificate: not ours to judge */
  } else if (is_right(user, question->password) && question->authzid.size == 0) {
    answer.result = POSTERN_OK;
    answer.back = &back;
    answer.back_count = 1;
    answer.ttl_s = 300;
  } else {
    answer.result = POSTERN_REJECT;
    answer.delay_ms = 2000;
  }
  postern_helper_answer(helper, question, &answer);
}

static postern_helper* serving;
static void stop(int number) {
  (void)number;
  postern_helper_stop(serving);
}

int main(int count, char** words) {
  if (count != 2) return fprintf(stderr, "usage: %s SOCKET\n", words[0]), 2;
  const int listener = postern_helper_listen(words[1], 0660, (gid_t)-1); /* the gate must be of this process's group */
  if (listener < 0) return perror(words[1]), 1;
  const postern_helper_options options = {.listener = listener, .name = "helper.c", .verify = verify};
  serving = postern_helper_new(&options);
  if (serving == NULL) return perror("postern_helper_new"), 1;
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  const postern_fault fault = postern_helper_serve(serving);
  postern_helper_unlisten(listener, words[1]);
  postern_helper_free(serving);
  return fault == POSTERN_FINE ? 0 : 1;
}
