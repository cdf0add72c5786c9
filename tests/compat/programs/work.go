// Goroutines, preemption, HTTP to itself, a signal and a recovered fault, without a C library.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func goroutines() {
	var wait sync.WaitGroup
	var lock sync.Mutex
	sum := 0
	for i := 0; i < 2000; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			v := fib(i % 15)
			lock.Lock()
			sum += v
			lock.Unlock()
		}(i)
	}
	wait.Wait()
	fmt.Println(sum)
}

// The collector stops a loop that never calls anything by a signal.
func preemption() {
	done := make(chan bool)
	go func() {
		for {
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	time.Sleep(50 * time.Millisecond)
	runtime.GC()
	close(done)
}

func web() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hi ", r.URL.Path) }))
	size := 0
	for i := 0; i < 100; i++ {
		answer, err := http.Get(fmt.Sprintf("http://%s/%d", listener.Addr(), i))
		check(err)
		text, err := io.ReadAll(answer.Body)
		check(err)
		answer.Body.Close()
		size += len(text)
	}
	fmt.Println("http", size)
}

func main() {
	fmt.Println(fib(30))
	goroutines()
	preemption()
	web()
	fmt.Printf("%x\n", sha256.Sum256(make([]byte, 1<<20)))
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	check(syscall.Kill(syscall.Getpid(), syscall.SIGUSR1))
	fmt.Println(<-caught)
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var nothing *int
		*nothing = 1
	}()
}
