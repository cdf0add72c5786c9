{ A sum. }
program work;
var
  i: longint;
  s: int64;
begin
  s := 0;
  for i := 1 to 1000000 do
    s := s + i * 7919 mod 1003;
  writeln(s);
end.
