#include <qrencode.h>

#include "base/buf.h"

#include "cli/qr.h"

/* Light modules around it; a phone does with less than the standard's 4. */
#define QUIET 2

/* A terminal has 80 columns. */
#define MAX_WIDTH 57

/* Black on white, whatever the terminal's colours are. */
#define COLOURS "\033[30;107m"
#define PLAIN "\033[0m"

static int
is_dark(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return 0;
	return code->data[y * code->width + x] & 1;
}

int
qr_put(struct buf *out, const char *text, unsigned int indent)
{
	static const char *const halves[] = {" ", "\u2584", "\u2580", "\u2588"};
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	int x, y;

	if (code == NULL || code->width + 2 * QUIET > MAX_WIDTH) {
		QRcode_free(code);
		return -1;
	}
	for (y = -QUIET; y < code->width + QUIET; y += 2) {
		buf_printf(out, "%*s" COLOURS, (int)indent, "");
		for (x = -QUIET; x < code->width + QUIET; x++)
			buf_puts(out, halves[is_dark(code, x, y) * 2 +
					     is_dark(code, x, y + 1)]);
		buf_puts(out, PLAIN "\n");
	}
	QRcode_free(code);
	return 0;
}
