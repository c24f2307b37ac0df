/* What a machine says of itself, for one process (LD_PRELOAD): its clock, whether NTP has set it,
 * and which boot this is. Only CLOCK_REALTIME is shifted: a step of the clock never moves monotonic
 * time, on a gateway as little as here, and libfaketime's moving both would prove something else.
 *
 * MACHINE_FILE  16 bytes, mapped: int64 nanoseconds added to the clock, int64 1 when NTP has set it.
 * MACHINE_BOOT  read in place of /proc/sys/kernel/random/boot_id.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

struct machine {
    volatile int64_t offset_ns;
    volatile int64_t synchronised;
};

static const struct machine *machine;
static const char *boot;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MACHINE_FILE");
    int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (file < 0)
        _exit(97);
    void *mapped = mmap(NULL, sizeof *machine, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        _exit(98);
    machine = mapped;
    boot = getenv("MACHINE_BOOT");
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int answer = (int)syscall(SYS_clock_gettime, clock, now);
    if (answer || !machine || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return answer;
    int64_t ns = now->tv_sec * SECOND + now->tv_nsec + machine->offset_ns;
    now->tv_sec = ns / SECOND;
    now->tv_nsec = ns % SECOND;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds)
        *seconds = now.tv_sec;
    return now.tv_sec;
}

int adjtimex(struct timex *asked)
{
    asked->status = machine->synchronised ? 0 : STA_UNSYNC;
    return machine->synchronised ? TIME_OK : TIME_ERROR;
}

static int opened(const char *path, int flags, mode_t mode)
{
    if (boot && path && !strcmp(path, "/proc/sys/kernel/random/boot_id"))
        path = boot;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* systemd-timesyncd's way of saying that NTP has set the clock. */
#define STAT(name, type)                                                                           \
    int name(const char *restrict path, struct type *restrict found)                               \
    {                                                                                              \
        static int (*next)(const char *, struct type *);                                           \
        if (!next)                                                                                 \
            next = (int (*)(const char *, struct type *))dlsym(RTLD_NEXT, #name);                  \
        if (machine && !strcmp(path, "/run/systemd/timesync/synchronized")) {                      \
            errno = ENOENT;                                                                        \
            return -1;                                                                             \
        }                                                                                          \
        return next(path, found);                                                                  \
    }

STAT(stat, stat)
STAT(stat64, stat64)

#define OPEN(name, more)                                                                           \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
            va_list rest;                                                                          \
            va_start(rest, flags);                                                                 \
            mode = va_arg(rest, mode_t);                                                           \
            va_end(rest);                                                                          \
        }                                                                                          \
        return opened(path, flags | (more), mode);                                                 \
    }

OPEN(open, 0)
OPEN(open64, 0)
