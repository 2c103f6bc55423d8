// As much of Arduino as the example needs: Serial on stdin and stdout.
#pragma once

#include <stdint.h>

class MockSerial {
 public:
  void begin(unsigned long baud);
  int available();
  int read();
  void println(int number);
};
extern MockSerial Serial;

void setup();
void loop();
