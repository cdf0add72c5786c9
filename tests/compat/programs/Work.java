import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;

/** JIT, threads, garbage collection, files, sockets, and a null pointer that is a signal. */
public class Work {
    static int fib(int n) {
        return n < 2 ? n : fib(n - 1) + fib(n - 2);
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println(fib(32));
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<Integer>> results = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            int k = i;
            results.add(pool.submit(() -> fib(15 + k % 10)));
        }
        long sum = 0;
        for (var result : results)
            sum += result.get();
        pool.shutdown();
        System.out.println(sum);

        Path path = Files.createTempFile("work", ".txt");
        Files.writeString(path, "hello");
        System.out.println(Files.readString(path));
        Files.delete(path);

        ServerSocket server = new ServerSocket(0);
        Thread serving = new Thread(() -> {
            try (Socket client = server.accept()) {
                client.getOutputStream().write("served\n".getBytes());
            } catch (IOException e) {
                e.printStackTrace();
            }
        });
        serving.start();
        Socket socket = new Socket("127.0.0.1", server.getLocalPort());
        System.out.println(new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine());
        serving.join();

        try {
            Object nothing = null;
            nothing.hashCode();
        } catch (NullPointerException e) {
            System.out.println("null pointer");
        }
        byte[][] garbage = new byte[100][];
        for (int i = 0; i < 3000; i++)
            garbage[i % 100] = new byte[100000];
        System.gc();
        System.out.println(garbage.length);
    }
}
