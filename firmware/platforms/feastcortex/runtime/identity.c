/* Which library this firmware was compiled from, for those who read the ELF: its build id and its model id.
 * link.ld keeps it in a section that is not loaded: it takes no memory of the board. */
#include "feast.h"

__attribute__((used, section(".feast_identity"))) static const char identity[] = FEAST_BUILD_ID " " FEAST_MODEL_ID;
