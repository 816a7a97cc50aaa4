/* The beginning of a program on a Cortex-M4: its vectors, its floating-point unit, C's own start. */
#include <stdint.h>

extern uint32_t stack_top;
void _start(void);
void reset(void);

__attribute__((section(".vectors"), used)) static void *const vectors[] = {&stack_top, reset};

void reset(void) {
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: the unit is on */
    __asm volatile("dsb\n\tisb");
    _start();
}
