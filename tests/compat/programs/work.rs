//! Threads, sockets and a caught panic.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

fn main() {
    let (sender, receiver) = mpsc::channel();
    for i in 0..16 {
        let sender = sender.clone();
        thread::spawn(move || sender.send(fib(i + 10)).unwrap());
    }
    drop(sender);
    println!("{}", receiver.iter().sum::<u64>());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || listener.accept().unwrap().0.write_all(b"served").unwrap());
    let mut text = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut text).unwrap();
    serving.join().unwrap();
    println!("{}", text);

    let caught = std::panic::catch_unwind(|| Vec::<i32>::new()[std::env::args().count()]);
    println!("{}", caught.is_err());
}
