#include "Arduino.h"

#include <stdio.h>

MockSerial Serial;

void MockSerial::begin(unsigned long) {}

int MockSerial::available() {
  const int c = getchar();
  if (c != EOF) {
    ungetc(c, stdin);
  }
  return c != EOF;
}

int MockSerial::read() { return getchar(); }

void MockSerial::println(int number) { printf("%d\n", number); }

int main() {
  setup();
  while (Serial.available()) {
    loop();
  }
}
