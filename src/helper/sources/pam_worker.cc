// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/pam_worker.h"

#include <poll.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "base/secret.h"

namespace postern::helper {
namespace {

static_assert(sizeof(PamAsked::password) == PAM_MAX_RESP_SIZE);

void set(char* into, size_t size, const char* text) {
  const size_t length = strnlen(text, size - 1);
  memcpy(into, text, length);
  into[length] = '\0';
}

// A module asks; it frees what it gets. Whoever wants to hear a password gets it, and whoever asks in the open the name.
int converse(int count, const pam_message** messages, pam_response** responses, void* self) {
  const auto* asked = static_cast<const PamAsked*>(self);
  if (count <= 0 || count > PAM_MAX_NUM_MSG) return PAM_CONV_ERR;
  auto* said = static_cast<pam_response*>(calloc(static_cast<size_t>(count), sizeof(pam_response)));
  if (said == nullptr) return PAM_BUF_ERR;
  for (int i = 0; i < count; ++i) {
    if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF) said[i].resp = strdup(asked->password);
    if (messages[i]->msg_style == PAM_PROMPT_ECHO_ON) said[i].resp = strdup(asked->user);
  }
  *responses = said;
  return PAM_SUCCESS;
}

// The gate delays its answer itself; to sleep here would keep others waiting.
void no_delay(int, unsigned, void*) {}

void ask_modules(pam_handle_t* handle, const PamAsked& asked, PamAnswer& answer) {
  const auto doing = [&](const char* what, int code) {
    answer.code = code;
    set(answer.doing, sizeof answer.doing, what);
    set(answer.meaning, sizeof answer.meaning, pam_strerror(handle, code));
    return code == PAM_SUCCESS;
  };
  auto* const quick = reinterpret_cast<void*>(&no_delay);
  if (!doing("pam_set_item", pam_set_item(handle, PAM_FAIL_DELAY, quick))) return;
  if (!doing("pam_set_item", pam_set_item(handle, PAM_TTY, "postern"))) return;
  if (asked.client[0] != '\0' && !doing("pam_set_item", pam_set_item(handle, PAM_RHOST, asked.client))) return;
  if (!doing("pam_authenticate", pam_authenticate(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK))) return;
  doing("pam_acct_mgmt", pam_acct_mgmt(handle, PAM_SILENT));
}

PamAnswer answer_to(const PamAsked& asked, const char* service, const char* folder) {
  PamAnswer answer;
  const pam_conv conversation{converse, const_cast<PamAsked*>(&asked)};
  pam_handle_t* handle = nullptr;
  answer.code = pam_start_confdir(service, asked.user, &conversation, folder, &handle);
  if (answer.code != PAM_SUCCESS || handle == nullptr) {
    set(answer.doing, sizeof answer.doing, "pam_start");
    set(answer.meaning, sizeof answer.meaning, pam_strerror(handle, answer.code));
    return answer;
  }
  ask_modules(handle, asked, answer);
  pam_end(handle, answer.code);
  return answer;
}

// The daemon's end is this process's end, and what crashes here leaves no passwords behind. False: it has ended already.
bool settle() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // One, not zero: that also forbids a dump which a program would take (core(5)).
  const rlimit no_dump{1, 1};
  setrlimit(RLIMIT_CORE, &no_dump);
  pollfd daemon{STDIN_FILENO, 0, 0};
  return poll(&daemon, 1, 0) == 0;
}

}  // namespace

int run_pam_worker(const char* service, const char* folder) {
  if (!settle()) return 1;
  PamAsked asked;
  while (recv(STDIN_FILENO, &asked, sizeof asked, 0) == static_cast<ssize_t>(sizeof asked)) {
    const PamAnswer answer = answer_to(asked, service, folder);
    wipe(&asked, sizeof asked);
    if (send(STDIN_FILENO, &answer, sizeof answer, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof answer)) return 1;
  }
  return 0;
}

}  // namespace postern::helper
