(* A sum, and a recursion without end that is caught. *)
let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)
let rec deep n = 1 + deep (n + 1)
let () = Printf.printf "%d\n" (fib 24)
let () = try ignore (deep 0) with Stack_overflow -> print_endline "overflow"
