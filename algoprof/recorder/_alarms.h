/* A thread that needs no GIL: how it starts, sleeps and writes. */

#ifndef ALGOPROF_ALARMS_H
#define ALGOPROF_ALARMS_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t algoprof_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t algoprof_changed;

/* In a forked child: nobody else is there to hold the lock. */
static void algoprof_reset_lock(void) { pthread_mutex_init(&algoprof_lock, NULL); }

/* Start a thread that takes no signal; returns whether it runs. */
static int algoprof_start_thread(void *(*body)(void *)) {
    pthread_attr_t attributes;
    pthread_condattr_t clock;
    pthread_t thread;
    sigset_t all, before;
    int failed;
    pthread_condattr_init(&clock);
#ifndef __APPLE__
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&algoprof_changed, &clock);
    pthread_condattr_destroy(&clock);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    failed = pthread_create(&thread, &attributes, body, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return !failed;
}

/* Sleep, with the lock given back meanwhile, for so long or until something has changed. */
static void algoprof_sleep(int64_t nanoseconds) {
    struct timespec until;
#ifdef __APPLE__
    until.tv_sec = (time_t)(nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    pthread_cond_timedwait_relative_np(&algoprof_changed, &algoprof_lock, &until);
#else
    clock_gettime(CLOCK_MONOTONIC, &until);
    nanoseconds += until.tv_nsec;
    until.tv_sec += (time_t)(nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    pthread_cond_timedwait(&algoprof_changed, &algoprof_lock, &until);
#endif
}

/* Write all of it, or as much as is taken; a reader that has gone is no signal here, where all are blocked. */
static void algoprof_write(int handle, const char *text, size_t size) {
    while (size) {
        ssize_t written = write(handle, text, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text += written;
        size -= (size_t)written;
    }
}

#endif
