# Real work in one process: hashes, sorting, regular expressions, files, packing, sprintf, local time.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempfile);
use List::Util qw(sum max);

my %count;
my $x = 12345;
for (1 .. 20000) {
    $x = ($x * 1103515245 + 12345) % 2147483648;
    $count{ $x % 997 }++;
}
my @top = (sort { $count{$b} <=> $count{$a} || $a <=> $b } keys %count)[0 .. 9];
print join(",", map {"$_=$count{$_}"} @top), "\n";
print sum(values %count), " ", max(values %count), "\n";

my ($fh, $path) = tempfile(UNLINK => 1);
print $fh "line $_ of the file\n" for 1 .. 5000;
close $fh;
open my $in, '<', $path or die;
my $matches = grep {/ (\d*7) of/} <$in>;
print "matches $matches, size ", -s $path, "\n";
print sha256_hex("intravisor" x 1000), "\n";
print unpack("H*", pack("NnCw", 1, 2, 3, 300)), "\n";
print scalar(gmtime(86400 * 365)), "\n";
printf "%.10f %e %s\n", atan2(1, 1) * 4, 1 / 3, join("", reverse split //, "unmodified");
exit 3;
