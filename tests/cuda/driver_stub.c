/* A stand-in for NVIDIA's driver library: enough of it to run gpupool without a GPU through the real Python bindings.

   Calls are written to the file $STUB_LOG, one a line: the name, then what matters of the arguments. Memory is numbers,
   kernels do nothing, and each thread has a stack of contexts that starts empty, as it is in a new thread. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_CONTEXT 201
#define CONTEXT 0xC000L
typedef unsigned long long address;

static FILE *file(void) {
    static FILE *opened;
    if (!opened) {
        opened = fopen(getenv("STUB_LOG"), "a");
        setvbuf(opened, NULL, _IOLBF, 0);
    }
    return opened;
}
#define NOTE(...) fprintf(file(), __VA_ARGS__)

static __thread long stack[64];
static __thread int depth;

static int cuInit(unsigned flags) { return (int)flags; }
static int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
static int cuDeviceGetCount(int *count) { *count = 1; return 0; }
static int cuDeviceGet(int *device, int number) { *device = number; return 0; }
static int cuDeviceGetAttribute(int *value, int which, int device) {
    (void)device;
    *value = which == 75 ? 9 : which == 76 ? 0 : 1; /* compute capability 9.0; everything is supported */
    return 0;
}
static int cuDevicePrimaryCtxRetain(void **context, int device) {
    NOTE("retain %d\n", device);
    *context = (void *)(CONTEXT + device);
    return 0;
}
static int cuDevicePrimaryCtxRelease(int device) { NOTE("release %d\n", device); return 0; }
static int cuCtxPushCurrent(void *context) { stack[depth++] = (long)context; NOTE("push\n"); return 0; }
static int cuCtxPopCurrent(void **context) {
    if (!depth) return NO_CONTEXT;
    *context = (void *)stack[--depth];
    NOTE("pop\n");
    return 0;
}
static int cuCtxGetCurrent(void **context) { *context = depth ? (void *)stack[depth - 1] : NULL; return 0; }
static int cuCtxGetDevice(int *device) {
    if (!depth) return NO_CONTEXT;
    *device = (int)(stack[depth - 1] - CONTEXT);
    return 0;
}
static int cuPointerGetAttribute(void *value, int which, address at) {
    NOTE("device of %llx (%d)\n", at, which);
    *(int *)value = 0;
    return 0;
}
static int cuLibraryLoadData(void **library, const unsigned char *code, void *a, void *b, unsigned n, void *c, void *d,
                             unsigned m) {
    (void)a, (void)b, (void)c, (void)d;
    NOTE("load ELF %d for sm_%d, %u and %u options\n", !memcmp(code, "\177ELF", 4), code[0x31], n, m);
    *library = (void *)1;
    return 0;
}
static int cuLibraryUnload(void *library) { (void)library; return 0; }
static int cuLibraryGetKernel(void **kernel, void *library, const char *name) {
    (void)library;
    NOTE("kernel %s\n", name);
    *kernel = (void *)2;
    return 0;
}
static int cuKernelGetFunction(void **function, void *kernel) {
    if (!depth) return NO_CONTEXT;
    *function = (char *)kernel + 1;
    return 0;
}
static int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *stream, void **arguments, void **extra) {
    if (!depth) return NO_CONTEXT;
    NOTE("launch %ld grid %u %u %u block %u %u %u shared %u stream %ld extra %ld x %llx y %llx outer %u\n",
         (long)function, gx, gy, gz, bx, by, bz, shared, (long)stream, (long)extra, *(address *)arguments[0],
         *(address *)arguments[1], *(unsigned *)arguments[2]);
    return 0;
}
static int cuMemAllocAsync(address *at, size_t size, void *stream) {
    NOTE("allocate %zu stream %ld\n", size, (long)stream);
    *at = 0x700000;
    return 0;
}
static int cuMemAllocFromPoolAsync(address *at, size_t size, void *pool, void *stream) {
    NOTE("allocate %zu from pool %ld stream %ld\n", size, (long)pool, (long)stream);
    *at = 0x800000;
    return 0;
}
static int cuMemFreeAsync(address at, void *stream) { NOTE("free %llx stream %ld\n", at, (long)stream); return 0; }
struct properties { int type, handles, where, number; void *security; size_t most; unsigned short usage; };
static int cuMemPoolCreate(void **pool, const struct properties *wanted) {
    NOTE("pool of type %d at %d %d\n", wanted->type, wanted->where, wanted->number);
    *pool = (void *)9;
    return 0;
}
static int cuMemPoolSetAttribute(void *pool, int which, void *value) {
    (void)pool;
    NOTE("pool attribute %d is %llu\n", which, *(address *)value);
    return 0;
}
static int cuEventCreate(void **event, unsigned flags) { NOTE("event %u\n", flags); *event = (void *)5; return 0; }
static int cuEventRecord(void *event, void *stream) {
    NOTE("record %ld stream %ld\n", (long)event, (long)stream);
    return 0;
}
static int cuEventQuery(void *event) { (void)event; return 0; }
static int cuEventSynchronize(void *event) { NOTE("wait for %ld\n", (long)event); return 0; }
static int cuEventDestroy(void *event) { NOTE("destroy %ld\n", (long)event); return 0; }
static int cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
    NOTE("stream %ld waits for %ld (%u)\n", (long)stream, (long)event, flags);
    return 0;
}
static int cuStreamIsCapturing(void *stream, int *state) { (void)stream; *state = 0; return 0; }
static int cuStreamSynchronize(void *stream) { NOTE("synchronize %ld\n", (long)stream); return 0; }
static int cuMemsetD8Async(address at, unsigned char value, size_t size, void *stream) {
    NOTE("set %llx to %u size %zu stream %ld\n", at, value, size, (long)stream);
    return 0;
}
static int cuMemcpyDtoHAsync(void *host, address at, size_t size, void *stream) {
    NOTE("read %llx size %zu stream %ld\n", at, size, (long)stream);
    memset(host, 0xff, size);
    return 0;
}
static int cuMemcpyHtoDAsync(address at, const void *host, size_t size, void *stream) {
    (void)host;
    NOTE("write %llx size %zu stream %ld\n", at, size, (long)stream);
    return 0;
}
static int absent(void) { NOTE("absent\n"); return 999; }

int cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, int *state);
int cuGetProcAddress(const char *name, void **found, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, found, version, flags, NULL);
}

#define HERE(name) {#name, (void *)name}
static const struct { const char *name; void *function; } table[] = {
    HERE(cuInit), HERE(cuDriverGetVersion), HERE(cuDeviceGetCount), HERE(cuDeviceGet), HERE(cuDeviceGetAttribute),
    HERE(cuDevicePrimaryCtxRetain), HERE(cuDevicePrimaryCtxRelease), HERE(cuCtxPushCurrent), HERE(cuCtxPopCurrent),
    HERE(cuCtxGetCurrent), HERE(cuCtxGetDevice), HERE(cuPointerGetAttribute), HERE(cuLibraryLoadData),
    HERE(cuLibraryUnload), HERE(cuLibraryGetKernel), HERE(cuKernelGetFunction), HERE(cuLaunchKernel),
    HERE(cuMemAllocAsync), HERE(cuMemAllocFromPoolAsync), HERE(cuMemFreeAsync), HERE(cuMemPoolCreate),
    HERE(cuMemPoolSetAttribute), HERE(cuEventCreate), HERE(cuEventRecord), HERE(cuEventQuery),
    HERE(cuEventSynchronize), HERE(cuEventDestroy), HERE(cuStreamWaitEvent), HERE(cuStreamIsCapturing),
    HERE(cuStreamSynchronize), HERE(cuMemsetD8Async), HERE(cuMemcpyDtoHAsync), HERE(cuMemcpyHtoDAsync),
};

int cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, int *state) {
    (void)version, (void)flags;
    if (state) *state = 0;
    *found = strcmp(name, "cuGetProcAddress") ? (void *)absent : (void *)cuGetProcAddress_v2;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name)) *found = table[i].function;
    return 0;
}
