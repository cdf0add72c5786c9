// Tasks, an exception by SIGSEGV, garbage collection.
using System;
using System.Linq;
using System.Threading.Tasks;

class Work
{
    static void Main()
    {
        var tasks = Enumerable.Range(0, 8).Select(i => Task.Run(() => Enumerable.Range(0, 100000).Sum(x => (long)x * i))).ToArray();
        Task.WaitAll(tasks);
        Console.WriteLine(tasks.Sum(t => t.Result));
        try {
            string none = null;
            Console.WriteLine(none.Length);
        } catch (NullReferenceException) {
            Console.WriteLine("null");
        }
        GC.Collect();
    }
}
