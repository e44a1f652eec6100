/* The clock of the stack sampler: a thread that holds no GIL, and at each tick has the main thread run the handler of a
   signal.

   The signal itself is sent only where the main thread runs. A waiting one is told as if it had come: no system call of
   the program is ever cut short, and it runs the handler where it waited, as soon as it goes on. Where that takes longer
   than two ticks, a helper is woken to look at it meanwhile. The same for a thread that blocks the signal. Once the
   program has a handler of its own for the signal, it is left alone. */

#ifndef ALGOPROF_TICKER_H
#define ALGOPROF_TICKER_H

#include <Python.h>
#include <stdint.h>

enum { ALGOPROF_MAIN = 1, ALGOPROF_OTHERS = 2, ALGOPROF_STOP = 4 };

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct {
    long running;    /* the number of the thread that is to run; each start and stop changes it */
    int64_t origin;  /* of the ticks */
    int64_t interval;
    pid_t process, thread; /* whom to interrupt */
    int number;            /* the signal */
    int status;            /* a descriptor of /proc/self/task/THREAD/stat ... */
    ino_t file;            /* ... while it is that, and not the program's, which may have closed it */
    int others;            /* whether the other threads are wanted at each tick */
    int lost;              /* whether the signal is the program's now */
    int pending;           /* ticks since it was told, and has not run the handler */
    int wanted;            /* of the helper */
    sem_t wake;
    void (*python)(int); /* Python's handler */
} algoprof_ticker = {.status = -1};

/* Stands before Python's handler, so that it shows when the program sets another one. */
static void algoprof_on_tick(int number) { algoprof_ticker.python(number); }

/* The handler has run. */
static void algoprof_done(void) { __atomic_store_n(&algoprof_ticker.pending, 0, __ATOMIC_RELAXED); }

static int algoprof_signal_is_free(int number) {
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
}

static int algoprof_signal_is_ours(void) {
    struct sigaction now;
    return sigaction(algoprof_ticker.number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == algoprof_on_tick;
}

/* Whether the main thread runs, or would if it had a processor, and does not block the signal. */
static int algoprof_may_interrupt(void) {
    char text[1024], *at;
    ssize_t size = pread(algoprof_ticker.status, text, sizeof text - 1, 0);
    if (size <= 0) return 0;
    text[size] = 0;
    at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ' || at[2] != 'R') return 0;
    at += 2;
    for (int field = 3; field < 32 && at != NULL; field++)
        if ((at = strchr(at, ' ')) != NULL) at++;
    return at != NULL && !(strtoull(at, NULL, 10) >> (algoprof_ticker.number - 1) & 1);
}

static int64_t algoprof_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void algoprof_wake(int wanted) {
    if (wanted && !__atomic_fetch_or(&algoprof_ticker.wanted, wanted, __ATOMIC_ACQ_REL)) sem_post(&algoprof_ticker.wake);
}

/* Sleep until a moment of the next interval, a little later in it each time: a program that works in step with the clock
   is seen as it is, and any other as with even ticks, which are less off than random ones. */
static void algoprof_sleep(void) {
    int64_t interval = algoprof_ticker.interval;
    int64_t next = (algoprof_clock() - algoprof_ticker.origin) / interval + 1;
    uint64_t share = ((uint64_t)next * 0xFD258F8F3210D00u) >> 44; /* in 2^20ths */
    int64_t at = algoprof_ticker.origin + next * interval + (int64_t)((share * (uint64_t)interval) >> 20);
    struct timespec until = {at / 1000000000, at % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
}

static void *algoprof_tick(void *number) {
    for (;;) {
        algoprof_sleep();
        if (__atomic_load_n(&algoprof_ticker.running, __ATOMIC_ACQUIRE) != (long)number) return NULL;
        int wanted = __atomic_load_n(&algoprof_ticker.others, __ATOMIC_RELAXED) ? ALGOPROF_OTHERS : 0;
        if (!algoprof_ticker.lost && !algoprof_signal_is_ours()) algoprof_ticker.lost = 1;
        if (algoprof_ticker.lost)
            wanted |= ALGOPROF_MAIN;
        else if (algoprof_may_interrupt())
            syscall(SYS_tgkill, algoprof_ticker.process, algoprof_ticker.thread, algoprof_ticker.number);
        else if (__atomic_fetch_add(&algoprof_ticker.pending, 1, __ATOMIC_RELAXED) == 0)
            PyErr_SetInterruptEx(algoprof_ticker.number);
        else
            wanted |= ALGOPROF_MAIN;
        algoprof_wake(wanted);
    }
}

/* Begin, in the thread that is to be interrupted, where Python has a handler for the signal; 0 if that cannot be. */
static int algoprof_start(int number, int64_t origin, int64_t interval) {
    struct sigaction action;
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    char path[64];
    algoprof_ticker.process = getpid();
    algoprof_ticker.thread = (pid_t)syscall(SYS_gettid);
    algoprof_ticker.number = number;
    algoprof_ticker.origin = origin;
    algoprof_ticker.interval = interval;
    algoprof_ticker.lost = algoprof_ticker.others = algoprof_ticker.pending = algoprof_ticker.wanted = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)algoprof_ticker.thread);
    int low = open(path, O_RDONLY | O_CLOEXEC);
    if (low < 0) return 0;
    algoprof_ticker.status = fcntl(low, F_DUPFD_CLOEXEC, 512); /* a number that no program counts on */
    if (algoprof_ticker.status < 0) algoprof_ticker.status = low;
    else close(low);
    struct stat found;
    algoprof_ticker.file = fstat(algoprof_ticker.status, &found) == 0 ? found.st_ino : 0;
    if (sigaction(number, NULL, &action) != 0 || action.sa_flags & SA_SIGINFO || sem_init(&algoprof_ticker.wake, 0, 0))
        return 0;
    algoprof_ticker.python = action.sa_handler;
    action.sa_handler = algoprof_on_tick;
    action.sa_flags |= SA_RESTART;
    sigfillset(&action.sa_mask);
    if (sigaction(number, &action, NULL) != 0) return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* the thread takes none of the program's */
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    algoprof_ticker.running++;
    int failed = pthread_create(&thread, &attributes, algoprof_tick, (void *)algoprof_ticker.running);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
}

/* End it, and the helper's waiting. A forked child has the descriptor alone, and gives that back. */
static void algoprof_stop(void) {
    __atomic_fetch_add(&algoprof_ticker.running, 1, __ATOMIC_ACQ_REL);
    if (algoprof_ticker.process == getpid()) algoprof_wake(ALGOPROF_STOP);
    struct stat found;
    int status = algoprof_ticker.status;
    algoprof_ticker.status = -1;
    if (status >= 0 && fstat(status, &found) == 0 && found.st_ino == algoprof_ticker.file) close(status);
}

static int algoprof_wait(void) {
    while (sem_wait(&algoprof_ticker.wake) != 0 && errno == EINTR) continue;
    return __atomic_exchange_n(&algoprof_ticker.wanted, 0, __ATOMIC_ACQ_REL);
}

static int algoprof_is_lost(void) { return algoprof_ticker.lost; }

static void algoprof_give_up(void) { algoprof_ticker.lost = 1; }

static void algoprof_want_others(int wanted) { __atomic_store_n(&algoprof_ticker.others, wanted, __ATOMIC_RELAXED); }

#else

static int algoprof_signal_is_free(int number) { (void)number; return 0; }
static int algoprof_start(int number, int64_t origin, int64_t interval) { (void)number, (void)origin, (void)interval; return 0; }
static void algoprof_stop(void) {}
static int algoprof_wait(void) { return ALGOPROF_STOP; }
static void algoprof_done(void) {}
static int algoprof_is_lost(void) { return 1; }
static void algoprof_give_up(void) {}
static void algoprof_want_others(int wanted) { (void)wanted; }

#endif
#endif
