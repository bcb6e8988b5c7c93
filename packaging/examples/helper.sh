#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A whole helper for the mail gate Postern, in bash: it reads questions and writes answers, one process a connection.
#   socat UNIX-LISTEN:/run/postern/auth.sock,fork,unlink-early,mode=660 EXEC:./helper.sh
# or systemd: a .socket with ListenStream=/run/postern/auth.sock, SocketMode=0660 and Accept=yes, and a .service of the
# same name, with an @, that has StandardInput=socket. The protocol is in postern-helper(7).
set -f; export LC_ALL=C IFS='&'  # bytes, not characters; & takes a line apart, and a * stays a *

verify() {  # Change this: $user and $password in, an answer out. A failure must become "unavailable", not "reject".
  case ${user,,} in  # the hash, made by `mkpasswd`, is that of "demo password"
    demo@example.test) back=127.0.1.1%3A143 HASH='$6$demosalt$br9aVr3MEd/NoZHi78IgQTU0pd4wRTvA2JQRb/XXjiqaMh9wgIg/7mq105AcGLiWxK4kXZOMLnt6Oy3ND/6901' ;;
    *) HASH='$6$nobodyssalt$' ;;  # is hashed too, so that a stopwatch does not tell who exists
  esac
  # Neither is an argument, which everybody on the machine could read: printf is a part of bash.
  same=$(printf %s "$password" | HASH=$HASH perl -e '$made = crypt(join("", <STDIN>), $ENV{HASH}); print $made eq $ENV{HASH} || 0')
  if [[ $same == 1 && -n $password && -z $authzid && -z $nul ]]; then
    answer="result=ok&back=$back&ttl=300"
  elif [[ $same == [01] ]]; then
    answer='result=reject&reason=credentials&delay_ms=2000'
  fi
}

while read -r -n 16384 line && ((${#line} < 16384)); do
  unset -v op id user password authzid nul
  for pair in $line; do
    key=${pair%%=*} value=${pair#*=}
    value=${value//\\/\\\\} value=${value//+/ }
    [[ $value != *%00* ]] || nul=1  # bash cannot keep it
    # Only these names: printf -v with a name that a stranger has chosen would run his commands.
    case $key in op | user | password | authzid) printf -v "$key" %b "${value//%/\\x}" ;; id) id=$value ;; esac
  done
  answer=result=unavailable
  case $op in
    hello) answer='op=hello&version=1&name=helper.sh' ;;
    verify) [[ ! -v password ]] || verify ;;
    *) answer=result=error ;;
  esac
  printf '%s%s\n' "${id:+id=$id&}" "$answer"
done
