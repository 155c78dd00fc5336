/* For ppoll. */
#define _GNU_SOURCE
/*
 * A network with a bottleneck, between two TUN devices: bottleneck DEVICE DEVICE. Both ways alike, each packet waits in a
 * queue for its turn at the rate, is then as long on its way as the delay says, and may be lost; a packet that finds the
 * queue full is dropped. On its input it takes lines "DELAY_US RATE_BITS LOSS_PPM QUEUE_BYTES", the first at the start and
 * others at any time, and answers each with "ok". It ends with its input, and then tells what it has passed and dropped.
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_PACKET 65536

struct packet {
  struct packet *next;
  int64_t due;
  int length;
  unsigned char bytes[];
};

/* One direction. */
struct way {
  int from, to;
  int64_t free_at;
  struct packet *first, *last;
  long passed, lost, dropped;
};

static int64_t delay_ns, queue_bytes;
static double ns_per_byte, loss;
static uint64_t state = 0x9e3779b97f4a7c15u;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* splitmix64: the same numbers in every run. */
static double chance(void) {
  uint64_t x = state += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

static void take(struct way *way) {
  static unsigned char buffer[MAX_PACKET];
  for (;;) {
    int length = read(way->from, buffer, sizeof buffer);
    if (length <= 0) return;
    if (chance() < loss) {
      way->lost++;
      continue;
    }
    int64_t at = now(), start = way->free_at > at ? way->free_at : at;
    if ((start - at) > queue_bytes * ns_per_byte && ns_per_byte > 0) {
      way->dropped++;
      continue;
    }
    way->free_at = start + (int64_t)(length * ns_per_byte);
    struct packet *packet = malloc(sizeof *packet + length);
    if (packet == NULL) exit(1);
    packet->next = NULL;
    packet->due = way->free_at + delay_ns;
    packet->length = length;
    memcpy(packet->bytes, buffer, length);
    if (way->last) way->last->next = packet; else way->first = packet;
    way->last = packet;
  }
}

/* What is due; the time until the next is, or -1. */
static int64_t give(struct way *way) {
  while (way->first) {
    struct packet *packet = way->first;
    int64_t left = packet->due - now();
    if (left > 0) return left;
    if (write(way->to, packet->bytes, packet->length) == packet->length) way->passed++;
    way->first = packet->next;
    if (!way->first) way->last = NULL;
    free(packet);
  }
  return -1;
}

static int open_device(const char *name) {
  struct ifreq request;
  int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  memset(&request, 0, sizeof request);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (device < 0 || ioctl(device, TUNSETIFF, &request) < 0) {
    perror(name);
    exit(1);
  }
  return device;
}

static int configure(void) {
  char line[256];
  double delay_us, rate, ppm, queue;
  if (!fgets(line, sizeof line, stdin)) return 0;
  if (sscanf(line, "%lf %lf %lf %lf", &delay_us, &rate, &ppm, &queue) != 4) return 0;
  delay_ns = delay_us * 1e3;
  ns_per_byte = rate > 0 ? 8e9 / rate : 0;
  loss = ppm / 1e6;
  queue_bytes = queue;
  puts("ok");
  fflush(stdout);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int one = open_device(argv[1]), other = open_device(argv[2]);
  struct way ways[2] = {{.from = one, .to = other}, {.from = other, .to = one}};
  if (!configure()) return 2;
  for (;;) {
    struct pollfd polled[3] = {{one, POLLIN, 0}, {other, POLLIN, 0}, {0, POLLIN, 0}};
    int64_t wait = -1;
    for (int i = 0; i < 2; i++) {
      int64_t left = give(&ways[i]);
      if (left >= 0 && (wait < 0 || left < wait)) wait = left;
    }
    struct timespec time = {wait / 1000000000LL, wait % 1000000000LL};
    if (ppoll(polled, 3, wait < 0 ? NULL : &time, NULL) < 0) return 1;
    for (int i = 0; i < 2; i++) if (polled[i].revents & POLLIN) take(&ways[i]);
    if (polled[2].revents && !configure()) break;
  }
  for (int i = 0; i < 2; i++)
    printf("passed %ld lost %ld dropped %ld\n", ways[i].passed, ways[i].lost, ways[i].dropped);
  return 0;
}
