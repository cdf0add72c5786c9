# Processes of perl: fork, pipes, system, backticks, open to and from commands.
use strict;
use warnings;
use POSIX qw(:sys_wait_h);

$| = 1;
my $where = shift;
print "backticks: ", `echo one; echo two; exit 3`, $? >> 8, "\n";
print "system: ", system("exit 5;") >> 8, " ", system("/bin/true"), " ", system("kill -9 \$\$") & 127, "\n";
open my $from, "-|", "seq 20000" or die;
my $sum = 0;
$sum += $_ while <$from>;
close $from;
print "a pipe from a command: $sum\n";
open my $to, "|-", "sort -n | tail -n 1" or die;
print $to "$_\n" for reverse 1 .. 5000;
close $to;
my $copy = open(my $self, "-|") // die;
if (!$copy) { print "from a copy of myself $_\n" for 1 .. 3; exit 4 }
print while <$self>;
close $self;
print "its status: ", $? >> 8, "\n";

# Ten children send messages through a pipe; each has its own copy of what there was.
pipe my $r, my $w or die;
my @children;
for my $n (1 .. 10) {
	my $pid = fork // die;
	if (!$pid) {
		close $r;
		my %own = map { $_ => $_ * $_ } 1 .. 1000;
		syswrite $w, sprintf "%d %d\n", $n, $own{$n * 100};
		exit $n;
	}
	push @children, $pid;
}
close $w;
print sort { ($a =~ /\d+/g)[0] <=> ($b =~ /\d+/g)[0] } <$r>;
for my $pid (@children) {
	waitpid $pid, 0;
	print $? >> 8, " ";
}
print "\n";

# There and back between two copies.
pipe my $ra, my $wa or die;
pipe my $rb, my $wb or die;
if (!(fork // die)) {
	close $wa;
	close $rb;
	while (sysread $ra, my $x, 4) { syswrite $wb, pack "N", 1 + unpack "N", $x }
	exit 0;
}
close $ra;
close $wb;
my $n = 0;
for (1 .. 200) {
	syswrite $wa, pack "N", $n;
	sysread $rb, my $x, 4;
	$n = unpack "N", $x;
}
close $wa;
wait;
print "$n rounds\n";

my $ended = 0;
$SIG{CHLD} = sub { $ended++ while waitpid(-1, WNOHANG) > 0 };
for (1 .. 5) { (fork // die) or exit 0 }
select undef, undef, undef, 0.01 while $ended < 5;
print "$ended ended\n";
$SIG{CHLD} = "DEFAULT";
my $asleep = open(my $words, "-|") // die;
if (!$asleep) { $SIG{TERM} = sub { print "asked to end\n"; exit 7 }; print "ready\n"; sleep 1 while 1 } # a signal just before it sleeps waits for its end
print scalar <$words>;
kill TERM => $asleep;
print <$words>;
close $words;
print $? >> 8, "\n";
my $busy = fork // die; # both work
if (!$busy) { my $x = 0; $x += $_ for 1 .. 1000000; open my $f, ">", "$where/x" or die; print $f $x; exit 0 }
my $x = 0;
$x += $_ for 1 .. 1000000;
waitpid $busy, 0;
open my $f, "<", "$where/x" or die;
print "both: $x ", <$f>, "\n";
