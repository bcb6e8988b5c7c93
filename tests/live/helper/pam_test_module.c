/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A PAM module whose behaviour is in the user's name. Its first argument is the password of everybody. */
#include <security/pam_appl.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct behaviour {
  const char* user;
  int code;
};

static int code_of(const struct behaviour* rows, const char* user) {
  for (; rows->user != NULL; ++rows) {
    if (strcmp(rows->user, user) == 0) return rows->code;
  }
  return PAM_IGNORE;
}

static void misbehave(const char* user) {
  if (strcmp(user, "sleeper") == 0) sleep(600);
  if (strcmp(user, "crasher") == 0) abort();
  if (strcmp(user, "leaver") == 0) _exit(3);
}

int pam_sm_authenticate(pam_handle_t* handle, int flags, int count, const char** words) {
  static const struct behaviour rows[] = {
      {"nobody", PAM_USER_UNKNOWN}, {"postern-check", PAM_USER_UNKNOWN}, {"broken", PAM_AUTHINFO_UNAVAIL}, {NULL, 0}};
  const char* user = NULL;
  const char* password = NULL;
  const void* client = NULL;
  (void)flags;
  if (pam_get_user(handle, &user, NULL) != PAM_SUCCESS) return PAM_SERVICE_ERR;
  misbehave(user);
  const int code = code_of(rows, user);
  if (code != PAM_IGNORE) return code;
  /* What the gate does by itself: nobody shall sleep for it here. */
  pam_fail_delay(handle, 600 * 1000000U);
  if (strcmp(user, "from") == 0) {
    pam_get_item(handle, PAM_RHOST, &client);
    if (client == NULL || strcmp(client, "203.0.113.7") != 0) return PAM_SYSTEM_ERR;
  }
  if (pam_get_authtok(handle, PAM_AUTHTOK, &password, NULL) != PAM_SUCCESS) return PAM_SERVICE_ERR;
  return count == 1 && strcmp(password, words[0]) == 0 ? PAM_SUCCESS : PAM_AUTH_ERR;
}

int pam_sm_setcred(pam_handle_t* handle, int flags, int count, const char** words) {
  (void)handle, (void)flags, (void)count, (void)words;
  return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t* handle, int flags, int count, const char** words) {
  static const struct behaviour rows[] = {
      {"expired", PAM_ACCT_EXPIRED}, {"denied", PAM_PERM_DENIED}, {"stale", PAM_NEW_AUTHTOK_REQD}, {NULL, 0}};
  const char* user = NULL;
  (void)flags, (void)count, (void)words;
  if (pam_get_user(handle, &user, NULL) != PAM_SUCCESS) return PAM_SERVICE_ERR;
  const int code = code_of(rows, user);
  return code == PAM_IGNORE ? PAM_SUCCESS : code;
}
