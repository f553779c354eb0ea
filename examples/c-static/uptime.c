#include <stdio.h>
#include <stdlib.h>

/* Says a number of seconds as days, hours and minutes. */
int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: uptime-of SECONDS\n");
    return 2;
  }
  long minutes = strtol(argv[1], NULL, 10) / 60;
  printf("%ld d %ld h %ld min\n", minutes / 60 / 24, minutes / 60 % 24, minutes % 60);
  return 0;
}
