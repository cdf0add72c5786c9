# Perl's ways to other processes: fork with memory of its own, system, backticks, pipes, signals, wait.
use strict;
use warnings;
$| = 1;
my @list = (1 .. 1000);
for my $turn (1 .. 5) {
	pipe my $in, my $out or die;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		close $in;
		@list = map { $_ * $turn } @list;
		my $sum = 0;
		$sum += $_ for @list;
		print $out "$sum\n";
		exit $turn;
	}
	close $out;
	print "child says ", scalar <$in>;
	waitpid $pid, 0;
	print "status ", $? >> 8, ", here still $list[-1]\n";
}
print "system ", system("/bin/echo", "a word", "two") >> 8, "\n";
print "shell ", system("true; exit 3") >> 8, "\n";
print `seq 3`;
open my $reader, "-|", "sort", "-r", "/etc/shells" or die;
my @lines = <$reader>;
close $reader;
print scalar(@lines) > 0 ? "read\n" : "nothing\n";
open my $writer, "|-", "sort" or die;
print $writer "b\na\n";
close $writer;
my $sleeper = fork // die;
if (!$sleeper) { sleep 1000; exit }
kill "TERM", $sleeper;
waitpid $sleeper, 0;
print "killed by ", $? & 127, "\n";
my $told = 0;
local $SIG{CHLD} = sub { $told++ };
my $child = fork // die;
exit 7 if !$child;
waitpid $child, 0;
print "status ", $? >> 8, ", told ", $told > 0 ? 1 : 0, "\n";
my %seen;
my @children = map { my $n = $_; my $p = fork // die; exit $n if !$p; $p } 1 .. 8;
local $SIG{CHLD} = "DEFAULT";
$seen{ waitpid($_, 0) == $_ ? $? >> 8 : -1 }++ for @children;
print join(" ", sort { $a <=> $b } keys %seen), "\n";
