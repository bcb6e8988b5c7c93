/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shows that the SDK compiles, links and works from C: a question is read, and each kind of answer is written. */
#include <stdio.h>

#include "postern/helper.h"

static int failures = 0;

static void expect(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s\n", what);
  ++failures;
}

static void expect_line(const char* line, size_t size, const char* wanted) {
  if (size == strlen(wanted) && memcmp(line, wanted, size) == 0) return;
  fprintf(stderr, "got %.*swanted %s", (int)size, line, wanted);
  ++failures;
}

int main(void) {
  const char text[] = "op=verify&id=17&user=joe%40example.test&password=a+b\n";
  postern_question* question = NULL;
  expect(postern_question_parse(text, sizeof text - 1, &question) == POSTERN_FINE, "the question is understood");
  if (question == NULL) return 1;
  expect(question->user.size == 16 && memcmp(question->user.data, "joe@example.test", 16) == 0, "its user is decoded");
  expect(question->password.size == 3 && memcmp(question->password.data, "a b", 3) == 0, "its password is decoded");
  expect(question->token.data == NULL, "what was not said is not there");

  char line[POSTERN_HELPER_LINE_MAX];
  size_t size = 0;
  postern_answer answer = {0};
  expect(postern_answer_build(question->id, &answer, line, sizeof line, &size) == POSTERN_FINE, "zero is an answer");
  expect_line(line, size, "id=17&result=unavailable\n");

  const postern_bytes backs[] = {postern_text("127.0.1.1:143"), postern_text("[::1]:143")};
  answer.result = POSTERN_OK;
  answer.back = backs;
  answer.back_count = 2;
  answer.ttl_s = 300;
  expect(postern_answer_build(question->id, &answer, line, sizeof line, &size) == POSTERN_FINE, "ok can be said");
  expect_line(line, size, "id=17&result=ok&back=127.0.1.1%3A143&back=%5B%3A%3A1%5D%3A143&ttl=300\n");
  postern_question_free(question);

  expect(postern_helper_listen("", 0660, (gid_t)-1) == -1, "an empty path is no socket");
  return failures == 0 ? 0 : 1;
}
