#include <sys/inotify.h>
#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/loop.h"
#include "wire/source.h"

#include "wire/watch.h"

/* Quiet for so long: several files saved at once are one change. */
#define SETTLE_MS 30

/* A file that was made or changed is closed by its writer within that. */
#define WRITING_MS 100

/* A file that is gone may come back within that. */
#define GONE_MS 100

/* However busy the folder is, it is looked at so often. */
#define BUSY_MS 1000

#define POLL_MS 1000
#define MISSING_MS 100

#define MASK_FOLDER                                                            \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |            \
	    IN_DELETE | IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF |            \
	    IN_ONLYDIR)

/* Room for some events of the longest name. */
#define EVENT_BYTES (16 * (sizeof(struct inotify_event) + NAME_MAX + 1))

struct watch {
	struct event_base *base; /* Borrowed. */
	char *dir;
	char *lib;
	watch_changed_cb *changed;
	watch_trouble_cb *trouble;
	void *cookie;

	int fd;             /* Of inotify, or -1. */
	struct event *ev;   /* That it is readable; NULL without it. */
	struct event *due;  /* Look at the folder. */
	struct event *poll; /* Look whether it is still the same folder. */
	int wd_dir;         /* -1: not watched. */
	int wd_lib;
	dev_t dev; /* Which folder is watched under that name. */
	ino_t ino;

	uint64_t first_mono_ms; /* When the change began; 0: none is due. */
	uint64_t write_mono_ms; /* Somebody began to write ... */
	uint64_t write_name;    /* ... the file with this hash; 0: nobody. */
	uint64_t gone_mono_ms;  /* When files were first seen missing. */
	int missing;            /* The folder cannot be read. */
	struct source *now;     /* As told last. */
};

/* Watch what is now under the names of the folder and of its lib/. */
static void
watch_names(struct watch *w)
{
	struct stat st;
	int wd;

	if (stat(w->dir, &st) == 0) {
		w->dev = st.st_dev;
		w->ino = st.st_ino;
	}
	if (w->fd == -1)
		return;

	/* Adding the same folder again gives the same number. */
	wd = inotify_add_watch(w->fd, w->dir, MASK_FOLDER);
	if (w->wd_dir != -1 && w->wd_dir != wd)
		(void)inotify_rm_watch(w->fd, w->wd_dir);
	w->wd_dir = wd;
	wd = inotify_add_watch(w->fd, w->lib, MASK_FOLDER);
	if (w->wd_lib != -1 && w->wd_lib != wd)
		(void)inotify_rm_watch(w->fd, w->wd_lib);
	w->wd_lib = wd;
}

static void
tell_trouble(struct watch *w, const char *why)
{
	if (w->missing == (why != NULL))
		return;
	w->missing = why != NULL;
	if (w->trouble != NULL)
		w->trouble(w->cookie, why);
}

/* Whether a script of ${old} is not in ${now}. */
static int
has_lost(const struct source *old, const struct source *now)
{
	const struct source_file *files;
	size_t i, n;

	files = source_scripts(old, &n);
	for (i = 0; i < n; i++)
		if (source_script(now, files[i].name) == NULL)
			return 1;
	files = source_libs(old, &n);
	for (i = 0; i < n; i++)
		if (source_lib(now, files[i].name) == NULL)
			return 1;
	return 0;
}

static void
set_now(struct watch *w, struct source *source)
{
	source_unref(w->now);
	w->now = source;
	w->changed(w->cookie, source);
}

/* Read the folder, and tell if it is another.  ${patient}: give what vanished
 * a moment to come back. */
static void
look(struct watch *w, int patient)
{
	struct source *source;
	struct err err = ERR_INIT;
	uint64_t mono_ms = clock_mono_ms();

	w->first_mono_ms = 0;
	w->write_name = 0;
	watch_names(w);
	if (source_scan(w->dir, &source, &err) == -1) {
		tell_trouble(w, err.msg);
		(void)loop_arm(w->due, MISSING_MS);
		return;
	}
	tell_trouble(w, NULL);
	if (patient && has_lost(w->now, source)) {
		if (w->gone_mono_ms == 0)
			w->gone_mono_ms = mono_ms;
		if (mono_ms - w->gone_mono_ms < GONE_MS) {
			source_unref(source);
			(void)loop_arm(
			    w->due, w->gone_mono_ms + GONE_MS - mono_ms);
			return;
		}
	}
	w->gone_mono_ms = 0;
	if (source_same(w->now, source))
		source_unref(source);
	else
		set_now(w, source);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg, 1);
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	struct stat st;

	(void)fd;
	(void)what;
	(void)loop_arm(w->poll, POLL_MS);
	if (event_pending(w->due, EV_TIMEOUT, NULL))
		return;
	if (w->fd == -1 || w->wd_dir == -1 || source_has_links(w->now) ||
	    stat(w->dir, &st) == -1 || st.st_dev != w->dev ||
	    st.st_ino != w->ino)
		look(w, 1);
}

/* Say when to look, after something has happened. */
static void
schedule(struct watch *w)
{
	uint64_t mono_ms = clock_mono_ms();
	uint64_t at = mono_ms + SETTLE_MS;

	if (w->first_mono_ms == 0)
		w->first_mono_ms = mono_ms;
	if (w->write_name != 0 && w->write_mono_ms + WRITING_MS > at)
		at = w->write_mono_ms + WRITING_MS;
	if (at > w->first_mono_ms + BUSY_MS)
		at = w->first_mono_ms + BUSY_MS;
	(void)loop_arm(w->due, at > mono_ms ? at - mono_ms : 0);
}

static void
on_event(struct watch *w, const struct inotify_event *event)
{
	uint64_t name = event->len == 0 ? 0 : str_hash(str_of(event->name));

	if (event->mask & IN_IGNORED) {
		if (event->wd == w->wd_dir)
			w->wd_dir = -1;
		if (event->wd == w->wd_lib)
			w->wd_lib = -1;
	}
	if ((event->mask & (IN_CREATE | IN_MODIFY)) &&
	    !(event->mask & IN_ISDIR)) {
		w->write_name = name;
		w->write_mono_ms = clock_mono_ms();
	} else if (name == w->write_name) {
		w->write_name = 0;
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	union {
		struct inotify_event event; /* For its alignment. */
		char bytes[EVENT_BYTES];
	} in;
	const struct inotify_event *event;
	struct watch *w = arg;
	ssize_t n;
	size_t at;

	(void)what;
	/* IN_Q_OVERFLOW needs nothing of its own: all is read again anyway. */
	while ((n = read(fd, in.bytes, sizeof(in.bytes))) > 0) {
		for (at = 0; at < (size_t)n;
		     at += sizeof(*event) + event->len) {
			event = (const void *)(in.bytes + at);
			on_event(w, event);
		}
	}
	schedule(w);
}

int
watch_start(const struct watch_options *options, struct watch **ret_watch,
    struct err *err)
{
	struct watch *w = mem_zalloc(sizeof(*w));
	struct source *source;

	w->base = options->base;
	w->dir = mem_strdup(options->dir);
	w->lib = mem_printf("%s/lib", options->dir);
	w->changed = options->changed;
	w->trouble = options->trouble;
	w->cookie = options->cookie;
	w->wd_dir = w->wd_lib = -1;

	/* Where inotify is used up or not there, looking is enough. */
	w->fd = options->polling ? -1 : inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd != -1) {
		w->ev = event_new(
		    w->base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
		(void)event_add(w->ev, NULL);
	}
	w->due = event_new(w->base, -1, 0, on_due, w);
	w->poll = event_new(w->base, -1, 0, on_poll, w);

	/* Watch first, then read: nothing is missed in between. */
	watch_names(w);
	if (source_scan(w->dir, &source, err) == -1) {
		watch_stop(w);
		return -1;
	}
	(void)loop_arm(w->poll, POLL_MS);
	*ret_watch = w;
	set_now(w, source);
	return 0;
}

void
watch_look(struct watch *w)
{
	(void)event_del(w->due);
	look(w, 0);
}

void
watch_stop(struct watch *w)
{
	if (w == NULL)
		return;
	if (w->ev != NULL)
		event_free(w->ev);
	event_free(w->due);
	event_free(w->poll);
	if (w->fd != -1)
		(void)close(w->fd);
	source_unref(w->now);
	free(w->dir);
	free(w->lib);
	free(w);
}
