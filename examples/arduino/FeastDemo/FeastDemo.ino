// Events come over Serial as lines "microseconds x y polarity"; the result of each goes back: the number of a
// feature, or a negative code of feast.h. Time is taken from the line, so it does not matter when it arrives.
#include <Arduino.h>
#include <stdlib.h>

#include <feast.h>

static feast_t feast;  // all state
static char line[48];
static unsigned int length;

static void processLine() {
  char *at = line;
  feast_event_t event;
  event.t_us = strtoull(at, &at, 10);
  event.x = static_cast<uint16_t>(strtoul(at, &at, 10));
  event.y = static_cast<uint16_t>(strtoul(at, &at, 10));
  event.polarity = static_cast<uint8_t>(strtoul(at, &at, 10));
  Serial.println(feast_step(&feast, &event));
}

void setup() {
  Serial.begin(115200);
  feast_init(&feast);
}

void loop() {
  while (Serial.available() > 0) {
    const char c = static_cast<char>(Serial.read());
    if (c == '\n') {
      line[length] = '\0';
      length = 0;
      processLine();
    } else if (length < sizeof line - 1) {
      line[length++] = c;
    }
  }
}
