// The page of `npm run demo:phones`: two phones, each a client of its own with its own storage and Workers.

import { find } from './dom.ts';
import { PhoneView } from './phone-view.ts';

const mailbox = (await (await fetch('/mailbox.json')).json()) as [];
const { token } = (await (await fetch('/token.json')).json()) as { token: string };
const phones = find(document.body, '#phones');
const tabs = find(document.body, '#tabs');
for (const name of ['Phone', 'Tablet']) {
  const view = new PhoneView(name, { token, mailbox });
  phones.append(view.element);
  const tab = document.createElement('button');
  tab.textContent = name;
  tab.addEventListener('click', () => {
    const { left } = view.element.getBoundingClientRect();
    // sideways alone: the page's own place stays
    phones.scrollBy({ left: left - phones.getBoundingClientRect().left, behavior: 'smooth' });
  });
  tabs.append(tab);
  // on a small screen one phone is seen at a time
  const seen = ([entry]: IntersectionObserverEntry[]) => {
    tab.ariaCurrent = String(entry?.isIntersecting ?? false);
  };
  new IntersectionObserver(seen, { root: phones, threshold: 0.6 }).observe(view.element);
  // one that is open in another tab does not hold up the other
  void view.start();
}
document.body.dataset.ready = 'true';
