#include <sys/eventfd.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#include "base/mailbox.h"

struct mailbox {
	pthread_mutex_t lock; /* Guards the three below. */
	struct mail *first;
	struct mail **last;
	size_t count;
	size_t capacity;
	atomic_uint waking; /* Senders that will still touch it. */
	int fd;
};

struct mailbox *
mailbox_create(size_t capacity)
{
	struct mailbox *mb = mem_zalloc(sizeof(*mb));

	(void)pthread_mutex_init(&mb->lock, NULL);
	mb->last = &mb->first;
	mb->capacity = capacity;
	mb->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mb->fd == -1)
		abort(); /* No descriptors left at start: nothing can run. */
	return mb;
}

void
mailbox_free(struct mailbox *mb)
{
	if (mb == NULL)
		return;
	while (atomic_load(&mb->waking) > 0)
		(void)sched_yield();
	(void)close(mb->fd);
	(void)pthread_mutex_destroy(&mb->lock);
	free(mb);
}

int
mailbox_fd(const struct mailbox *mb)
{
	return mb->fd;
}

int
mailbox_room(struct mailbox *mb)
{
	int room;

	(void)pthread_mutex_lock(&mb->lock);
	room = mb->count < mb->capacity;
	(void)pthread_mutex_unlock(&mb->lock);
	return room;
}

void
mailbox_put(struct mailbox *mb, struct mail *mail)
{
	mail->next = NULL;
	mailbox_put_all(mb, mail);
}

void
mailbox_put_all(struct mailbox *mb, struct mail *first)
{
	const uint64_t one = 1;
	struct mail *last = first;
	size_t n = 1;
	int wake;

	for (; last->next != NULL; last = last->next)
		n++;
	/*
	 * Once the lock is released the receiver may take the letter and, if it
	 * was told to stop, free the mailbox: it waits for us.  Waking it under
	 * the lock would only have it wait for the lock.
	 */
	(void)atomic_fetch_add(&mb->waking, 1);
	(void)pthread_mutex_lock(&mb->lock);
	/* The receiver takes all, so only the first letter has to wake it. */
	wake = mb->first == NULL;
	*mb->last = first;
	mb->last = &last->next;
	mb->count += n;
	(void)pthread_mutex_unlock(&mb->lock);
	if (wake && write(mb->fd, &one, sizeof(one)) == -1)
		abort(); /* An eventfd is never full. */
	(void)atomic_fetch_sub(&mb->waking, 1);
}

struct mail *
mailbox_take(struct mailbox *mb)
{
	struct mail *all;
	uint64_t n;

	/*
	 * The waking first: one that comes after this is for a letter that may
	 * come too late to be taken here.
	 */
	(void)!read(mb->fd, &n, sizeof(n));
	(void)pthread_mutex_lock(&mb->lock);
	all = mb->first;
	mb->first = NULL;
	mb->last = &mb->first;
	mb->count = 0;
	(void)pthread_mutex_unlock(&mb->lock);
	return all;
}

void
mailbox_open_all(struct mailbox *mb)
{
	struct mail *mail, *next;

	for (mail = mailbox_take(mb); mail != NULL; mail = next) {
		next = mail->next;
		mail->open(mail);
	}
}

void
mailbox_wait(struct mailbox *mb, int timeout_ms)
{
	struct pollfd pfd = {.fd = mb->fd, .events = POLLIN};

	(void)poll(&pfd, 1, timeout_ms);
}
