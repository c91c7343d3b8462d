// Stands in for the scrollbars of a table: in a picture nothing scrolls.
import { createElement, forwardRef } from 'react';

export const Scrollbars = forwardRef(({ children, style }, ref) =>
  createElement('div', { ref, style: { ...style, overflow: 'hidden' } }, children)
);
export default Scrollbars;
