/* A stand-in for NVIDIA's management library, for machines without its driver: one processor that tells everything, and one
 * that tells its name only. Types and numbers are those of nvml.h, version 2 of memory and 3 of processes. */

#include <stddef.h>
#include <string.h>

#define SUCCESS 0
#define NOT_SUPPORTED 3
#define INSUFFICIENT_SIZE 7

typedef struct { unsigned int gpu, memory; } utilization;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } memory;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu_instance, compute_instance; } process;

static int handles[2];

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
  *count = 2;
  return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, int **device) {
  *device = &handles[index];
  return SUCCESS;
}

int nvmlDeviceGetName(int *device, char *name, unsigned int length) {
  strncpy(name, device == handles ? "NVIDIA H100" : "NVIDIA T400", length);
  return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(int *device, memory *info) {
  if (device != handles || info->version != (sizeof(memory) | (2u << 24))) return NOT_SUPPORTED;
  info->total = 80ull << 30;
  info->reserved = 1ull << 30;
  info->free = 59ull << 30;
  info->used = 20ull << 30;
  return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(int *device, utilization *rates) {
  rates->gpu = 63;
  rates->memory = 12;
  return device == handles ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetTemperature(int *device, int sensor, unsigned int *celsius) {
  *celsius = 58;
  return device == handles && sensor == 0 ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetPowerUsage(int *device, unsigned int *milliwatts) {
  *milliwatts = 312500;
  return device == handles ? SUCCESS : NOT_SUPPORTED;
}

static int list(int *device, unsigned int *count, process *to, const process *from, unsigned int length) {
  if (device != handles) return NOT_SUPPORTED;
  int has_room = to != NULL && *count >= length;
  *count = length;
  if (has_room) memcpy(to, from, length * sizeof(process));
  return has_room ? SUCCESS : INSUFFICIENT_SIZE;
}

int nvmlDeviceGetComputeRunningProcesses_v3(int *device, unsigned int *count, process *processes) {
  static const process all[] = {{41, 7ull << 30, ~0u, ~0u}, {42, 3ull << 30, ~0u, ~0u}, {43, ~0ull, ~0u, ~0u}};
  return list(device, count, processes, all, 3);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(int *device, unsigned int *count, process *processes) {
  static const process all[] = {{42, 3ull << 30, ~0u, ~0u}, {44, 1ull << 30, ~0u, ~0u}};
  return list(device, count, processes, all, 2);
}
