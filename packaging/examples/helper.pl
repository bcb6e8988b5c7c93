#!/usr/bin/perl
# SPDX-License-Identifier: GPL-3.0-or-later
# A whole helper for the mail gate Postern, in nothing but Perl. Start it: helper.pl /run/postern/auth.sock
# The protocol is in postern-helper(7).
use strict; use warnings; use IO::Socket::UNIX;

# Change this: your users, their hash (mkpasswd makes some) and their mail server. Or ask your database in verify().
my %users = ('demo@example.test' => {back => '127.0.1.1:143', hash =>  # "demo password"
    '$6$demosalt$br9aVr3MEd/NoZHi78IgQTU0pd4wRTvA2JQRb/XXjiqaMh9wgIg/7mq105AcGLiWxK4kXZOMLnt6Oy3ND/6901'});
my $nobody = {hash => '$6$nobodyssalt$'};  # is hashed too, so that a stopwatch does not tell who exists

sub verify {  # Change this: one login in, its answer out. Die if you like: the user hears "not now", never "wrong".
  my %question = @_;
  my $password = $question{password} // die "a question without a password";
  my $user = $users{lc $question{user}} // $nobody;
  my $same = crypt($password, $user->{hash}) // die "crypt";
  my $right = $same eq $user->{hash} && length $password && $password !~ /\0/;  # crypt does not see what follows a NUL
  return (result => 'reject', reason => 'credentials', delay_ms => 2000) if !$right || length($question{authzid} // '');
  return (result => 'ok', back => $user->{back}, ttl => 300);  # or a pool, another user name, a master user, ...
}
sub answer {  # one line in, one line out
  my @pairs = map { (split(/=/, tr/+/ /r, 2), '', '')[0, 1] } split /&/, shift;
  my %question = map { s/%([0-9A-Fa-f]{2})/chr hex $1/ger } @pairs;
  my $op = $question{op} // '';
  my %answer = $op eq 'hello' ? (op => 'hello', version => 1, name => 'helper.pl') : (result => 'error');
  if ($op eq 'verify') { %answer = eval { verify(%question) } or %answer = (result => 'unavailable') }
  $answer{id} = $question{id} if defined $question{id};
  s/([^A-Za-z0-9*._-])/sprintf '%%%02X', ord $1/ge for values %answer;
  return join('&', map { "$_=$answer{$_}" } keys %answer) . "\n";
}
umask 0117; unlink $ARGV[0]; $SIG{CHLD} = 'IGNORE';  # open to this user and group: the gate must be of them
my $listener = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 128) or die "$ARGV[0]: $!\n";
while (my $gate = $listener->accept) {
  next if fork // next;  # a process for each connection of the gate
  for (my $input = ''; length $input < 16384 && sysread($gate, $input, 16384 - length $input, length $input);) {
    print $gate answer($1) while $input =~ s/\A([^\n]*)\n//;
  }
  exit;
}
