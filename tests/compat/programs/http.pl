# Answers with the request's first line, one connection after the other. usage: http.pl PORT
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => shift, Listen => 64, ReuseAddr => 1) or die $!;
while (my $s = $listener->accept) {
	my ($first, $size) = (scalar <$s>, 0);
	while (<$s>) {
		$size = $1 if /^Content-Length: (\d+)/i;
		last if /^\r\n$/;
	}
	read $s, my $body, $size if $size;
	$first =~ s/\r\n//;
	print $s "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n$first $body\n";
	close $s;
}
