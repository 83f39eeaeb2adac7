import { createSvgIcon } from '@mui/material/utils';

/** The few pictures this app needs, drawn here; an icon package would be most of its dependencies. */
export const MenuIcon = createSvgIcon(<path d="M4 6h16v2H4zm0 5h16v2H4zm0 5h16v2H4z" />, 'Menu');
export const AddIcon = createSvgIcon(<path d="M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z" />, 'Add');
export const SendIcon = createSvgIcon(<path d="M11 20V8l-5 5-1.5-1.5L12 4l7.5 7.5L18 13l-5-5v12z" />, 'Send');
export const StopIcon = createSvgIcon(<path d="M7 7h10v10H7z" />, 'Stop');
export const CopyIcon = createSvgIcon(<path d="M8 3h12v13h-2V5H8zM4 7h12v14H4zm2 2v10h8V9z" />, 'Copy');
export const MoreIcon = createSvgIcon(
  <path d="M12 4a2 2 0 1 1 0 4 2 2 0 0 1 0-4m0 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4m0 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4" />,
  'More',
);
export const DocumentIcon = createSvgIcon(
  <path d="M5 2h9l5 5v15H5zm2 2v16h10V8h-4V4zm2 7h6v2H9zm0 4h6v2H9z" />,
  'Document',
);
