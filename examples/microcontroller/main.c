/* Runs a network for some steps on made-up inputs, and prints its last outputs. On the board also
   the instructions of a step, by the system timer: QEMU counts one in 40 (-icount shift=0). */
#include "model.h"

#include <stdint.h>
#include <stdio.h>

#ifndef STEPS
#define STEPS 50
#endif

static model_state state;
static float outputs[(1 + MODEL_LAST) * MODEL_OUTPUTS];

#ifdef __arm__
static volatile uint32_t *const timer = (volatile uint32_t *)0xE000E010u;
static void begin_timer(void) { timer[1] = 0xFFFFFFu; timer[2] = 0; timer[0] = 5; }
static uint32_t ticks(void) { return 0xFFFFFFu - timer[2]; }
#else
static void begin_timer(void) {}
static uint32_t ticks(void) { return 0; }
#endif

int main(void) {
    uint32_t longest = 0;
    model_init(&state);
    for (int t = 0; t < STEPS; t++) {
#ifdef TOKENS
        int32_t x[MODEL_INPUTS];
        for (int i = 0; i < MODEL_INPUTS; i++) x[i] = (t * 7 + i * 13) % TOKENS;
#else
        float x[MODEL_INPUTS];
        for (int i = 0; i < MODEL_INPUTS; i++) x[i] = (float)((t * 7 + i * 13) % 17 - 8) / 8.0f;
#endif
        begin_timer();
        (void)model_step(&state, x, outputs);
        const uint32_t took = ticks();
        if (took > longest) longest = took;
    }
    (void)model_finish(&state, outputs);
    for (int i = 0; i < MODEL_OUTPUTS; i++) printf("%.5f ", (double)outputs[i]);
    printf("\n%lu\n", (unsigned long)longest * 40ul);
    return 0;
}
